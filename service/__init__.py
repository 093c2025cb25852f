"""The program that answers searches over HTTP from the store."""
