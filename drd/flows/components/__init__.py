"""What drills and recoveries share: fetching and restoring components, checks, fences."""
