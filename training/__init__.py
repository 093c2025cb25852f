"""How the network `compact` is made: views of photos, a teacher's answers, a student."""
