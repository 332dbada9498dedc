"""The only process that writes sysfs: leases, plans, the undo log, the way back."""
