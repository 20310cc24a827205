-- What peers may do here: connect, listen, and call the functions of schema mesh. Idempotent; run at each start of the key server.
begin;
select pg_advisory_xact_lock(5696002);

do $$ begin
  if not exists (select from pg_roles where rolname = 'mesh') then create role mesh login; end if;
  if not exists (select from pg_roles where rolname = 'mesh_door') then create role mesh_door; end if;
end $$;
alter role mesh with login nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls connection limit 60 password null;
alter role mesh_door with nologin nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls;
alter role mesh set statement_timeout = '5s';
alter role mesh set idle_in_transaction_session_timeout = '5s';
alter role mesh set transaction_timeout = '10s';
alter role mesh set lock_timeout = '2s';
-- Only acknowledgements are written by peers, and those they repeat.
alter role mesh set synchronous_commit = off;

do $$ declare place name := current_database(); begin
  execute format('revoke all on database %I, postgres, template1 from public', place);
  execute format('grant connect on database %I to mesh', place);
end $$;
revoke all on schema public from public;
revoke usage on language plpgsql, sql from public;

-- Without the functions of the system there is no query that does anything: no large objects, no advisory locks, no sleeping,
-- no reading of other sessions. The owner of the doors keeps those that were for everybody.
do $$ declare f record; begin
  if exists (select from pg_proc where oid = 'pg_sleep(double precision)'::regprocedure and proacl is null) then
    create temp table reserved on commit drop as
      select oid::regprocedure as routine from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proacl is not null;
    revoke execute on all routines in schema pg_catalog from public;
    grant execute on all routines in schema pg_catalog to mesh_door;
    for f in select routine from reserved loop
      execute format('revoke execute on routine %s from mesh_door', f.routine);
    end loop;
  end if;
end $$;

create schema if not exists mesh;
revoke all on schema mesh from public;
grant usage on schema mesh to mesh, mesh_door;
grant usage on schema keyfleet to mesh_door;
grant select on keyfleet.ops, keyfleet.vector, keyfleet.node_self, keyfleet.bases, keyfleet.objects, keyfleet.kept,
  keyfleet.root, keyfleet.import to mesh_door;
grant execute on function keyfleet.position_of(uuid) to mesh_door;
-- Of the settings these alone.
create or replace view keyfleet.fences as select s.value from keyfleet.settings s where s.key = 'fences';
grant select on keyfleet.fences to mesh_door;

-- What each member shows beside its certificate, as a digest: a thief of the certificate cannot (passes.ts).
create table if not exists mesh.passes (identity text primary key, digest text not null);
-- Sessions of members by the name in their certificates. PostgreSQL tells 63 bytes of a name: of a longer one that is its own
-- certificate. proved: by what it says its application is, which anybody may say and only the member knows. Comes before the
-- positions, as in all that takes both: else who logs in meanwhile would wait for this, and this for him.
create or replace view keyfleet.mesh_sessions as
  select a.pid, a.xact_start, a.backend_start, p.identity is not null as proved,
    concat(a.ssl_client_dn, case when octet_length(a.ssl_client_dn) >= 63 then a.ssl_client_serial end) as of_one
  from pg_stat_get_activity(null) a
  left join mesh.passes p on p.digest = encode(sha256(convert_to(a.application_name, 'UTF8')), 'hex')
  where a.usesysid = (select r.oid from pg_roles r where r.rolname = 'mesh');

-- Unlogged: after a crash peers acknowledge again and joiners ask again; wrapped keys are in no log of PostgreSQL's.
create unlogged table if not exists mesh.positions (
  identity text primary key,
  seq bigint not null,
  acknowledged timestamptz not null default clock_timestamp()
);
-- The session that acknowledged: what it does later is a sign of life of its member, and need not be written.
alter table mesh.positions add column if not exists backend integer;
-- The log that was acknowledged: what was said of an earlier one says nothing of the present one.
alter table mesh.positions add column if not exists origin uuid;
-- What was acknowledged in a session that is over says nothing at this start: the disk may be another one.
delete from mesh.positions p where not exists (
  select from pg_stat_get_activity(null) a where a.pid = p.backend and a.usesysid = 'mesh'::regrole);
create unlogged table if not exists mesh.handovers (
  identity text primary key,
  wrapped bytea,
  refusal text,
  requested timestamptz not null default clock_timestamp()
);
grant select, insert, update on mesh.positions to mesh_door;
grant select, insert, update, delete on mesh.handovers to mesh_door;

-- Name in the certificate of the caller, in RFC 2253 order; what PostgreSQL has authenticated, not what the caller says.
create or replace function mesh.caller() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if system_user not like 'cert:%' then raise exception 'only for peers with a certificate' using errcode = '42501'; end if;
  return substr(system_user, 6);
end $$;

-- Another text after each change of what this node holds: of its rows, its logs, or its knowledge where departed logs end.
-- Asking for it is a sign of life of the caller, and its answer one of this node.
create or replace function mesh.sign_of_life() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return hashtextextended(concat((select r.sealed from keyfleet.root r), (select f.value from keyfleet.fences f)), 0)::text;
end $$;

-- How far this node holds each log, with the MAC of its last operation and how much of its beginning is not there any more;
-- own marks this node's log, which is there even when it is empty; hears: any query, an empty one too, is a sign of life here;
-- sign: what mesh.sign_of_life says at this moment; clock_ms: of this machine, milliseconds since 1970, or of the latest
-- operation here where that is more than a day ahead of it: what is held cannot be stamped anew.
drop function if exists mesh.vector();
create function mesh.vector()
returns table (origin uuid, seq bigint, own boolean, base bigint, mac text, hears boolean, sign text, clock_ms bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  self uuid := (select n.incarnation from keyfleet.node_self n);
  now_held text := mesh.sign_of_life();
  clock bigint := extract(epoch from clock_timestamp()) * 1000;
begin
  return query
    select v.origin, v.seq, v.origin = self, v.base, encode(v.mac, 'base64'), true, now_held,
      case when max(v.hlc) over () >> 16 > clock + 86400000 then max(v.hlc) over () >> 16 else clock end
    from keyfleet.vector v
    union all
    select self, 0::bigint, true, 0::bigint, '', true, now_held, clock where keyfleet.position_of(self) = 0;
end $$;

-- Operations of an origin behind after_seq, as JSON texts in order; at most amount of them and at most about 1 MiB.
create or replace function mesh.pull(from_origin uuid, after_seq bigint, amount integer) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return query
    select jsonb_build_array(p.origin, p.seq, p.hlc::text, p.kind, p.object,
        translate(encode(p.payload, 'base64'), E'\n', ''), translate(encode(p.mac, 'base64'), E'\n', ''))::text
    from (
      select o.*, sum(octet_length(o.payload)) over (order by o.seq) as bytes
      from (select * from keyfleet.ops s where s.origin = from_origin and s.seq > after_seq order by s.seq
            limit least(greatest(amount, 0), 1000)) o
    ) p
    where p.bytes <= 1048576 or p.seq = after_seq + 1
    order by p.seq;
end $$;

-- This node's store at one moment, for who cannot follow the log: the root, how far each log goes, about how many objects.
-- No row while it takes in a snapshot itself.
create or replace function mesh.mark() returns table (root bytea, heads jsonb, objects bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select r.sealed,
      (select coalesce(jsonb_agg(jsonb_build_array(v.origin, v.seq, v.hlc::text, translate(encode(v.mac, 'base64'), E'\n', ''))), '[]')
       from keyfleet.vector v),
      (select greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = 'keyfleet.objects'::regclass)
    from keyfleet.root r where not exists (select from keyfleet.import);
end $$;

-- Objects behind an identifier as JSON texts, in order: [id, state, mac, sealed]; at most 2000 and about 1 MiB.
create or replace function mesh.snapshot(after_id uuid) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return query
    select json_build_array(p.id, p.state, translate(encode(p.mac, 'base64'), E'\n', ''),
        translate(encode(p.sealed, 'base64'), E'\n', ''))::text
    from (
      select o.id, o.state, o.mac, o.sealed, row_number() over (order by o.id) as place,
        sum(octet_length(o.state) + coalesce(octet_length(o.sealed), 0)) over (order by o.id) as bytes
      from (select * from keyfleet.objects s where s.id > after_id order by s.id limit 2000) o
    ) p
    where p.bytes <= 1048576 or p.place = 1
    order by p.id;
end $$;

-- Operations that this node keeps for later, as mesh.pull gives them; at most 100 and about 1 MiB.
create or replace function mesh.kept(after_origin uuid, after_seq bigint) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return query
    select jsonb_build_array(p.origin, p.seq, p.hlc::text, p.kind, p.object,
        translate(encode(p.payload, 'base64'), E'\n', ''), translate(encode(p.mac, 'base64'), E'\n', ''))::text
    from (
      select k.*, row_number() over (order by k.origin, k.seq) as place,
        sum(octet_length(k.payload)) over (order by k.origin, k.seq) as bytes
      from (select * from keyfleet.kept s where (s.origin, s.seq) > (after_origin, after_seq)
            order by s.origin, s.seq limit 100) k
    ) p
    where p.bytes <= 1048576 or p.place = 1
    order by p.origin, p.seq;
end $$;

-- The caller holds this node's own log durably up to a sequence. Who holds more than there is holds another log. Said again
-- it is only a sign of life, of which nobody is woken: a notification wakes every listener of the database.
drop function if exists mesh.acknowledge(bigint);
create or replace function mesh.acknowledge(of_origin uuid, up_to bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held bigint := (select keyfleet.position_of(n.incarnation) from keyfleet.node_self n where n.incarnation = of_origin);
  who text := mesh.caller();
  before bigint := (select p.seq from mesh.positions p where p.identity = who and p.origin = of_origin);
begin
  if held is null or up_to > held then return; end if;
  insert into mesh.positions as p (identity, seq, backend, origin) values (who, greatest(up_to, 0), pg_backend_pid(), of_origin)
    on conflict (identity) do update
      set seq = excluded.seq, acknowledged = clock_timestamp(), backend = excluded.backend, origin = excluded.origin;
  -- A queue that somebody has filled must not undo what was acknowledged; it is also looked for every two seconds.
  if before is distinct from greatest(up_to, 0) and pg_notification_queue_usage() < 0.9 then
    perform pg_notify('acks', '');
  end if;
end $$;

-- Who of the members has acknowledged the log, and said so or anything else when last; open: over a connection that is there.
-- Asked every two seconds, it also ends who overstays: peers have deadlines for statements and transactions, which a session
-- may lift for itself, and nobody who pulls needs as long. And of each certificate's name all sessions but four, twice what a
-- member needs, or one of them could take all that there are: the oldest two stay, which a thief of the certificate who comes
-- later cannot push out, and the newest two, which a member needs whose older ones are dead and do not know it. Sessions that
-- have shown the member's pass are counted by themselves: however many a thief has, they end none of those. At rest this is
-- the one question that a key server asks here.
drop function if exists keyfleet.end_overstayers();
create or replace function keyfleet.heard(of_origin uuid)
returns table (identity text, seq bigint, at text, open boolean)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_terminate_backend(s.pid) from (
    select m.pid, m.xact_start, row_number() over (of_one order by m.backend_start, m.pid) as place,
        count(*) over of_one as sessions
      from keyfleet.mesh_sessions m window of_one as (partition by m.of_one, m.proved)
  ) s where s.place > 2 and s.place <= s.sessions - 2 or s.xact_start < clock_timestamp() - interval '15 seconds';
  return query
    select p.identity, p.seq, concat(p.acknowledged, a.state_change), a.pid is not null
    from mesh.positions p
    left join pg_stat_get_activity(null) a on a.pid = p.backend and a.usesysid = 'mesh'::regrole
    where p.origin = of_origin;
end $$;

-- Where the logs of departed nodes end, as this node knows it: [[origin, sequence, MAC]…]; no row when it knows of none.
create or replace function mesh.fences() returns setof jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$ select f.value from keyfleet.fences f $$;

-- Asks this node's key server for the master key, wrapped for the HSM of the caller.
create or replace function mesh.request_master_key() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into mesh.handovers (identity) values (mesh.caller())
    on conflict (identity) do update set wrapped = null, refusal = null, requested = clock_timestamp();
  perform pg_notify('handover', '');
end $$;

-- The answer, once; no row until there is one.
create or replace function mesh.master_key() returns table (wrapped bytea, refusal text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query delete from mesh.handovers h where h.identity = mesh.caller() and (h.wrapped is not null or h.refusal is not null)
    returning h.wrapped, h.refusal;
end $$;

-- A session is opened by what PostgreSQL's process knew when the caller came, which is up to ten seconds ago for one who takes
-- his time with the handshake; in that time he may have left the fleet. So once more at the end, by the file as it is now.
-- Here also ends who has a member's certificate, shows no pass, and has twice as many sessions as stay: else his would take
-- all that there are for members between two looks.
create or replace function keyfleet.admit_members() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if session_user <> 'mesh' then return; end if;
  if not exists (
    select from pg_ident_file_mappings m
    where m.map_name = 'mesh' and m.pg_username = 'mesh' and m.error is null and concat('cert:', m.sys_name) = system_user)
  then raise exception 'no member of this fleet' using errcode = '28000'; end if;
  if (select count(*) from keyfleet.mesh_sessions s
      join keyfleet.mesh_sessions other on other.of_one = s.of_one and not other.proved
      where s.pid = pg_backend_pid() and not s.proved) > 8
  then raise exception 'too many sessions of this member' using errcode = '53300'; end if;
  -- What a session that is over has acknowledged under this number is not this one's. No time would tell: clocks are set.
  delete from mesh.positions p where p.backend = pg_backend_pid();
end $$;
do $$ begin
  if not exists (select from pg_event_trigger where evtname = 'admit_members') then
    create event trigger admit_members on login execute function keyfleet.admit_members();
  end if;
end $$;

do $$ declare f record; begin
  for f in select oid::regprocedure as routine from pg_proc where pronamespace = 'mesh'::regnamespace loop
    execute format('alter routine %s owner to mesh_door', f.routine);
    execute format('revoke all on routine %s from public', f.routine);
    execute format('grant execute on routine %s to mesh', f.routine);
  end loop;
  revoke execute on function mesh.caller() from mesh;
end $$;
-- alter owner needed it; nobody creates there.
revoke create on schema mesh from mesh_door;
commit;
