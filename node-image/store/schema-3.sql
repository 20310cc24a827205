-- Version 3: a log may begin behind its first operation, when every member holds what was before, or after a snapshot.
create table keyfleet.bases (
  origin uuid primary key,
  seq bigint not null,
  hlc bigint not null,
  mac bytea not null
);

-- Last operation of each origin, by skipping from origin to origin in the index; of a log without operations its base.
create or replace view keyfleet.vector as
  with recursive origins as (
    (select origin from keyfleet.ops order by origin limit 1)
    union all
    select (select o.origin from keyfleet.ops o where o.origin > origins.origin order by o.origin limit 1)
    from origins where origins.origin is not null
  ), heads as (
    select origins.origin, last.seq, last.hlc, last.mac
    from origins cross join lateral
      (select o.seq, o.hlc, o.mac from keyfleet.ops o where o.origin = origins.origin order by o.seq desc limit 1) last
  )
  select coalesce(h.origin, b.origin) as origin, coalesce(h.seq, b.seq) as seq, coalesce(h.hlc, b.hlc) as hlc,
    coalesce(h.mac, b.mac) as mac, coalesce(b.seq, 0) as base
  from heads h full join keyfleet.bases b on b.origin = h.origin;

-- Last sequence of one origin that is held.
create function keyfleet.position_of(wanted uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  select coalesce(
    (select o.seq from keyfleet.ops o where o.origin = wanted order by o.seq desc limit 1),
    (select b.seq from keyfleet.bases b where b.origin = wanted), 0)
$$;

create or replace function keyfleet.append(
  origins uuid[], seqs bigint[], hlcs bigint[], kinds text[], objects uuid[], payloads bytea[], macs bytea[],
  keeps boolean[], notifications text[]
) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  hole record;
begin
  select n.origin, n.low, n.high, n.amount, keyfleet.position_of(n.origin) as have
    into hole
    from (select origin, min(seq) as low, max(seq) as high, count(*) as amount
          from unnest(origins, seqs) as u (origin, seq) group by origin) n
    where n.high - n.low + 1 <> n.amount or n.low <> keyfleet.position_of(n.origin) + 1
    limit 1;
  if found then
    raise exception 'log of % holds %, offered % to % (%)', hole.origin, hole.have, hole.low, hole.high, hole.amount
      using errcode = 'KF001';
  end if;
  insert into keyfleet.ops
    select * from unnest(origins, seqs, hlcs, kinds, objects, payloads, macs);
  insert into keyfleet.kept
    select origin, seq, hlc, kind, object, payload, mac
    from unnest(origins, seqs, hlcs, kinds, objects, payloads, macs, keeps)
      as u (origin, seq, hlc, kind, object, payload, mac, keep)
    where keep;
  -- A listener that does not read fills the queue; then peers find out by their poll, and writes go on.
  if cardinality(notifications) > 0 and pg_notification_queue_usage() < 0.5 then
    perform pg_notify('ops', text) from unnest(notifications) as n (text);
  end if;
end $$;

-- Takes operations up to a position and older than a time from the beginning of one log, at most amount of them; returns how
-- many. What was kept for later has a copy of its own.
create function keyfleet.prune(of_origin uuid, up_to bigint, before_hlc bigint, amount integer) returns integer
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  last record;
  pruned integer;
begin
  select p.seq, p.hlc, p.mac into last from (
    select o.seq, o.hlc, o.mac from keyfleet.ops o
    where o.origin = of_origin and o.seq <= up_to order by o.seq limit amount) p
  where p.hlc < before_hlc order by p.seq desc limit 1;
  if not found then return 0; end if;
  delete from keyfleet.ops o where o.origin = of_origin and o.seq <= last.seq;
  get diagnostics pruned = row_count;
  insert into keyfleet.bases as b values (of_origin, last.seq, last.hlc, last.mac)
    on conflict (origin) do update set seq = excluded.seq, hlc = excluded.hlc, mac = excluded.mac;
  return pruned;
end $$;

-- What members have said to hold, for the time when they are away.
create table keyfleet.members (
  identity text primary key,
  vector jsonb not null default '{}',
  heard timestamptz not null default clock_timestamp()
);

-- A snapshot that is being taken in: from whom, how far it came, the vector that its rows hold at least, and the one that
-- this node had before it threw away what it held: nobody who holds less can give it back.
create table keyfleet.import (
  only_one boolean primary key default true check (only_one),
  identity text not null,
  heads jsonb not null,
  floor jsonb not null,
  after uuid not null default '00000000-0000-0000-0000-000000000000',
  stage text not null default 'rows'
);
