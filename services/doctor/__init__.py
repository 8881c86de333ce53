"""`flint doctor`: looks at everything an installation stands on, changes nothing, says the cure."""
