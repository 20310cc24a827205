-- Version 1 of the node's own tables. Local to each node: another version may differ; only what travels in ops is shared.
create schema keyfleet;

-- The log. The envelope never changes and has no checks: a node keeps what it does not understand.
create table keyfleet.ops (
  origin uuid not null,
  seq bigint not null,
  hlc bigint not null,
  kind text not null,
  object uuid not null,
  payload bytea not null,
  mac bytea not null,
  primary key (origin, seq)
);
-- Sealed key material does not compress.
alter table keyfleet.ops alter payload set storage external;

-- Operations that this software could not apply; tried again at each start.
create table keyfleet.unapplied (
  origin uuid not null,
  seq bigint not null,
  primary key (origin, seq)
);

-- Merged state. A row without owner comes from a change that arrived before its create, and is not to be seen.
create table keyfleet.objects (
  id uuid primary key,
  owner text,
  object_type integer,
  facts integer not null default 0,
  sealed bytea,
  created_hlc bigint,
  created_origin uuid
);
alter table keyfleet.objects alter sealed set storage external;
create index objects_owner on keyfleet.objects (owner, created_hlc desc) where owner is not null;

-- Last writer by (hlc, origin); a null value is a removed attribute.
create table keyfleet.attributes (
  object uuid not null,
  name text collate "C" not null,
  hlc bigint not null,
  origin uuid not null,
  value jsonb,
  primary key (object, name)
);
-- Locate is nearly always by name.
create index attributes_name on keyfleet.attributes using gin (value jsonb_path_ops) where name = 'Name';

-- Whoever was granted something searches by it.
create index attributes_granted on keyfleet.attributes (name) where name like '.grant Locate %';

create table keyfleet.node_self (only_one boolean primary key default true check (only_one), incarnation uuid not null);
create table keyfleet.settings (key text primary key, value jsonb not null);
create table keyfleet.master_keys (version integer primary key, sealed bytea not null);

-- Last operation of each origin, by skipping from origin to origin in the index.
create view keyfleet.vector as
  with recursive origins as (
    (select origin from keyfleet.ops order by origin limit 1)
    union all
    select (select o.origin from keyfleet.ops o where o.origin > origins.origin order by o.origin limit 1)
    from origins where origins.origin is not null
  )
  select origins.origin, last.seq, last.hlc
  from origins cross join lateral
    (select o.seq, o.hlc from keyfleet.ops o where o.origin = origins.origin order by o.seq desc limit 1) last;

-- Merges operations. Every statement is commutative, associative and idempotent: any order of any operations ends in the
-- same rows. It takes what it needs instead of reading ops, and never scans: a plan made while a table was small would stay.
create function keyfleet.merge(origins uuid[], hlcs bigint[], kinds text[], objects uuid[], payloads bytea[]) returns void
language sql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  with batch as (
    select u.origin, u.hlc, u.kind, u.object, convert_from(u.payload, 'UTF8')::jsonb as body
    from unnest(origins, hlcs, kinds, objects, payloads) as u (origin, hlc, kind, object, payload)
  ), born as (
    -- Two creates of one object cannot happen; if they do, the earlier one wins everywhere.
    select distinct on (object) object, hlc, origin, body from batch where kind = 'create' order by object, hlc, origin
  ), facts as (
    select object, bit_or((body->>'facts')::integer) as facts from batch group by object
  ), merged as (
    select f.object, f.facts, b.hlc, b.origin, b.body->>'owner' as owner, (b.body->>'objectType')::integer as object_type,
      decode(b.body->>'sealed', 'base64') as sealed
    from facts f left join born b using (object)
  ), written as (
    insert into keyfleet.objects as o (id, owner, object_type, facts, sealed, created_hlc, created_origin)
    select object, owner, object_type, facts, case when facts & 8 = 0 then sealed end, hlc, origin from merged order by object
    on conflict (id) do update set
      facts = o.facts | excluded.facts,
      owner = case when (excluded.created_hlc, excluded.created_origin) < (o.created_hlc, o.created_origin) or o.owner is null
        then excluded.owner else o.owner end,
      object_type = case when (excluded.created_hlc, excluded.created_origin) < (o.created_hlc, o.created_origin) or o.owner is null
        then excluded.object_type else o.object_type end,
      sealed = case
        when (o.facts | excluded.facts) & 8 <> 0 then null
        when (excluded.created_hlc, excluded.created_origin) < (o.created_hlc, o.created_origin) or o.owner is null
          then excluded.sealed
        else o.sealed end,
      created_hlc = case when (excluded.created_hlc, excluded.created_origin) < (o.created_hlc, o.created_origin) or o.owner is null
        then excluded.created_hlc else o.created_hlc end,
      created_origin = case when (excluded.created_hlc, excluded.created_origin) < (o.created_hlc, o.created_origin) or o.owner is null
        then excluded.created_origin else o.created_origin end
    returning 1
  )
  insert into keyfleet.attributes as a (object, name, hlc, origin, value)
  select distinct on (b.object, e.key) b.object, e.key, b.hlc, b.origin, nullif(e.value, 'null'::jsonb)
  from batch b, jsonb_each(b.body->'attributes') e
  order by b.object, e.key, b.hlc desc, b.origin desc
  on conflict (object, name) do update set hlc = excluded.hlc, origin = excluded.origin, value = excluded.value
    where (a.hlc, a.origin) < (excluded.hlc, excluded.origin);
$$;

-- Appends operations, each origin's directly behind what is there, and merges those that this software understands.
-- One transaction, one writer; what it refuses is a mistake of the caller.
create function keyfleet.append(
  origins uuid[], seqs bigint[], hlcs bigint[], kinds text[], objects uuid[], payloads bytea[], macs bytea[],
  understood boolean[], notifications text[]
) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  hole record;
begin
  select n.origin, n.low, n.high, n.amount, coalesce((select max(seq) from keyfleet.ops o where o.origin = n.origin), 0) as have
    into hole
    from (select origin, min(seq) as low, max(seq) as high, count(*) as amount
          from unnest(origins, seqs) as u (origin, seq) group by origin) n
    where n.high - n.low + 1 <> n.amount
       or n.low <> coalesce((select max(seq) from keyfleet.ops o where o.origin = n.origin), 0) + 1
    limit 1;
  if found then
    raise exception 'log of % holds %, offered % to % (%)', hole.origin, hole.have, hole.low, hole.high, hole.amount
      using errcode = 'KF001';
  end if;
  insert into keyfleet.ops
    select * from unnest(origins, seqs, hlcs, kinds, objects, payloads, macs);
  insert into keyfleet.unapplied
    select origin, seq from unnest(origins, seqs, understood) as u (origin, seq, known) where not known;
  perform keyfleet.merge(array_agg(origin), array_agg(hlc), array_agg(kind), array_agg(object), array_agg(payload))
    from unnest(origins, hlcs, kinds, objects, payloads, understood) as u (origin, hlc, kind, object, payload, known)
    where known having count(*) > 0;
  -- A listener that does not read fills the queue; then peers find out by their poll, and writes go on.
  if cardinality(notifications) > 0 and pg_notification_queue_usage() < 0.5 then
    perform pg_notify('ops', text) from unnest(notifications) as n (text);
  end if;
end $$;
