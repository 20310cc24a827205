-- Version 2: a merged object is one row, as text under a MAC, and a sealed root sums up all rows.
drop function keyfleet.append(uuid[], bigint[], bigint[], text[], uuid[], bytea[], bytea[], boolean[], text[]);
drop function keyfleet.merge(uuid[], bigint[], text[], uuid[], bytea[]);
drop table keyfleet.attributes, keyfleet.objects, keyfleet.unapplied;

-- Operations that are not merged yet, because this software does not understand them or could not: as they came.
create table keyfleet.kept (like keyfleet.ops including all);
-- What there was is merged anew from the log.
insert into keyfleet.kept select * from keyfleet.ops;

-- state is what counts; owner, object_type, facts, created_*, names and granted repeat parts of it, to be searched by.
create table keyfleet.objects (
  id uuid primary key,
  state text not null,
  mac bytea not null,
  sealed bytea,
  owner text,
  object_type integer,
  facts integer not null,
  created_hlc bigint,
  created_origin uuid,
  names jsonb,
  granted text[]
) with (fillfactor = 90);
alter table keyfleet.objects alter sealed set storage external;
create index objects_owner on keyfleet.objects (owner, created_hlc desc) where owner is not null;
-- Locate is nearly always by name.
create index objects_names on keyfleet.objects using gin (names jsonb_path_ops) where names is not null;
-- Whoever was granted something searches by it.
create index objects_granted on keyfleet.objects using gin (granted) where granted is not null;

-- Key and sum over all MACs of objects and kept, sealed under the master key and bound to the vector.
create table keyfleet.root (only_one boolean primary key default true check (only_one), sealed bytea not null) with (fillfactor = 10);

-- To whom the right to find an object was ever granted: the statements of its rows ".grant Locate PRINCIPAL".
create function keyfleet.granted(state text, attributes jsonb) returns text[] language sql immutable
set search_path = pg_catalog, pg_temp as $$
  select case when state like '%".grant Locate %' then
    (select array_agg(substr(k, 8)) from jsonb_object_keys(attributes) k
     where k like '.grant Locate %') end
$$;

-- Changed rows: inserted when they are fresh, else put in the place of the one before; a null in materials with kept true keeps
-- the material. It never scans: a plan made while a table was small would stay.
create function keyfleet.write_rows(ids uuid[], fresh boolean[], states text[], macs bytea[], materials bytea[], keeps boolean[])
returns void language sql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
  with rows as materialized (
    select r.*, parsed.j, parsed.j->'stamps'->((parsed.j->'born'->>0)::integer) as stamp
    from unnest(ids, fresh, states, macs, materials, keeps) as r (id, fresh, state, mac, material, keep),
      lateral (select r.state::jsonb as j offset 0) parsed
  ), inserted as (
    insert into keyfleet.objects
      select id, state, mac, material, j->'born'->>1, (j->'born'->>2)::integer, (j->>'facts')::integer,
        (stamp->>0)::bigint, (stamp->>1)::uuid, nullif(j->'attributes'->'Name'->1, 'null'),
        keyfleet.granted(state, j->'attributes')
      from rows where fresh
  )
  update keyfleet.objects o set state = r.state, mac = r.mac, sealed = case when r.keep then o.sealed else r.material end,
      owner = r.j->'born'->>1, object_type = (r.j->'born'->>2)::integer, facts = (r.j->>'facts')::integer,
      created_hlc = (r.stamp->>0)::bigint, created_origin = (r.stamp->>1)::uuid,
      names = nullif(r.j->'attributes'->'Name'->1, 'null'), granted = keyfleet.granted(r.state, r.j->'attributes')
    from rows r where not r.fresh and o.id = r.id;
$$;

-- Appends operations, each origin's directly behind what is there; those with kept true are kept beside the log as well.
create function keyfleet.append(
  origins uuid[], seqs bigint[], hlcs bigint[], kinds text[], objects uuid[], payloads bytea[], macs bytea[],
  keeps boolean[], notifications text[]
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

-- One transaction of the one writer.
create function keyfleet.commit_batch(
  origins uuid[], seqs bigint[], hlcs bigint[], kinds text[], objects uuid[], payloads bytea[], macs bytea[],
  keeps boolean[], notifications text[],
  row_ids uuid[], row_fresh boolean[], row_states text[], row_macs bytea[], row_materials bytea[], row_keeps boolean[],
  merged_origins uuid[], merged_seqs bigint[], root_sealed bytea
) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  if cardinality(origins) > 0 then
    perform keyfleet.append(origins, seqs, hlcs, kinds, objects, payloads, macs, keeps, notifications);
  end if;
  if cardinality(merged_origins) > 0 then
    delete from keyfleet.kept k using unnest(merged_origins, merged_seqs) as m (origin, seq)
      where k.origin = m.origin and k.seq = m.seq;
  end if;
  if cardinality(row_ids) > 0 then
    perform keyfleet.write_rows(row_ids, row_fresh, row_states, row_macs, row_materials, row_keeps);
  end if;
  insert into keyfleet.root values (true, root_sealed) on conflict (only_one) do update set sealed = excluded.sealed;
end $$;
