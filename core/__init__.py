"""What the ingester and the service share: settings, records, vision and the store."""
