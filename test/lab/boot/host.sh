# A host on the nodes' segment does nothing by itself: commands are run in it.
init="sleep infinity"
