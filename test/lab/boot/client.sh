# A client does nothing by itself: commands are run in it.
init="sleep infinity"
