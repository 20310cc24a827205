-- Names go into the index at once: a list of those to be put in later is read by every search, and each Create searches.
alter index keyfleet.objects_names set (fastupdate = off);
select pg_catalog.gin_clean_pending_list('keyfleet.objects_names');
