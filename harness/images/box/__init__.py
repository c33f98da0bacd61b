"""The box that VMs are made of: made here or brought, and kept in the cache."""
