// The stories' sites are their own: they must not meet the sites that somebody has up for trying things out.
process.env.KEYFLEET_SITES_INSTANCE ??= "stories";
