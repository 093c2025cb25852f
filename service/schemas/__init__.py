"""What goes over the wire, for the routes and for the client alike."""
