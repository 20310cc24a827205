-- What this node held before it began to take in a snapshot: it is joined into it at the end, or taken back when nobody is left
-- from whom the rest could be had. Columns are those of the tables that they come from; whoever adds one there adds it here.
create table keyfleet.aside_ops (like keyfleet.ops including all);
create table keyfleet.aside_kept (like keyfleet.kept including all);
create table keyfleet.aside_bases (like keyfleet.bases including all);
create table keyfleet.aside_root (like keyfleet.root including all);
create table keyfleet.aside_objects (like keyfleet.objects including defaults including storage, primary key (id));
-- Software before this version throws away what it held: of that nothing is set aside.
alter table keyfleet.import add column aside boolean not null default false;
