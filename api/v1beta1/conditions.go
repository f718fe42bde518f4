package v1beta1

// Condition types of the objects that users write: IPAddressPool, IPReservation,
// AddressQuota, L2Advertisement, BGPPeer, BGPAdvertisement, BFDProfile and
// Community. Each is True when all is well.
const (
	// ConditionAccepted says whether the object is understood and in force.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether everything the object names exists.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed says whether the nodes concerned do what the object
	// asks for.
	ConditionProgrammed = "Programmed"
	// ConditionReserved says whether the addresses of an IPReservation are kept.
	ConditionReserved = "Reserved"
	// ConditionConflictFree says of an IPAddressPool whether the addresses that
	// were to be given away were free on the network.
	ConditionConflictFree = "ConflictFree"
)

// Reasons of ConditionAccepted.
const (
	// ReasonAccepted (True): the object is valid.
	ReasonAccepted = "Accepted"
	// ReasonInvalid (False): a field holds something unusable.
	ReasonInvalid = "Invalid"
	// ReasonConflict (False): the object contradicts another one, such as
	// pools that overlap.
	ReasonConflict = "Conflict"
	// ReasonWrongNamespace (False): the object lies outside the namespace the
	// programs watch.
	ReasonWrongNamespace = "WrongNamespace"
)

// Reasons of ConditionResolvedRefs.
const (
	// ReasonResolvedRefs (True): everything named exists.
	ReasonResolvedRefs = "ResolvedRefs"
	// ReasonPoolNotFound (False): an IPAddressPool that is named does not exist.
	ReasonPoolNotFound = "PoolNotFound"
	// ReasonAddressNotInPool (False): no IPAddressPool has an address that is
	// named.
	ReasonAddressNotInPool = "AddressNotInPool"
	// ReasonFamilyNotInPool (False): the IPAddressPool has no address of a
	// family that is asked for.
	ReasonFamilyNotInPool = "FamilyNotInPool"
	// ReasonPeerNotFound (False): a BGPPeer that is named does not exist.
	ReasonPeerNotFound = "PeerNotFound"
	// ReasonBFDProfileNotFound (False): the BFDProfile does not exist.
	ReasonBFDProfileNotFound = "BFDProfileNotFound"
	// ReasonCommunityNotFound (False): no Community object defines the alias.
	ReasonCommunityNotFound = "CommunityNotFound"
	// ReasonNotListening (False): the nodes accept no sessions, which the
	// listenRange of a BGPPeer takes.
	ReasonNotListening = "NotListening"
	// ReasonSecretNotFound (False): the password Secret does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid (False): the password Secret has the wrong type, has
	// no password, or has one that cannot be used.
	ReasonSecretInvalid = "SecretInvalid"
)

// Reasons of ConditionReserved.
const (
	// ReasonReserved (True): all addresses are kept.
	ReasonReserved = "Reserved"
	// ReasonAddressInUse (False): a Service that the IPReservation is not for has
	// an address; it keeps it, and then the address is kept.
	ReasonAddressInUse = "AddressInUse"
	// ReasonPoolExhausted (False): the pool has no free address to keep.
	ReasonPoolExhausted = "PoolExhausted"
	// ReasonExpired (False): retainAfterDelete has passed since a Service last
	// had the addresses.
	ReasonExpired = "Expired"
)

// Reasons of ConditionConflictFree.
const (
	// ReasonNoConflict (True): nobody was found.
	ReasonNoConflict = "NoConflict"
	// ReasonConflictFound (False): strangers have addresses of the pool; the
	// message names them.
	ReasonConflictFound = "ConflictFound"
)

// Reasons of ConditionProgrammed.
const (
	// ReasonProgrammed (True): every node concerned has applied the object.
	ReasonProgrammed = "Programmed"
	// ReasonPending: a node has not applied the object yet (False), or no node
	// has reported (Unknown).
	ReasonPending = "Pending"
	// ReasonNoMatchingNode (False): no node is selected.
	ReasonNoMatchingNode = "NoMatchingNode"
	// ReasonNotAccepted (False): the object is not in force as it is, see
	// Accepted and ResolvedRefs.
	ReasonNotAccepted = "NotAccepted"
	// ReasonUnsupported (False): nothing carries out objects of the kind. Not
	// written any more; versions without layer 2 wrote it on L2Advertisements.
	ReasonUnsupported = "Unsupported"
	// ReasonApplyFailed (False): a node could not apply the configuration; the
	// message carries the words of the program that refused it.
	ReasonApplyFailed = "ApplyFailed"
)

// Condition types of MetalLB, those of a cluster operator.
const (
	// ConditionAvailable says whether controller and speakers run as asked.
	ConditionAvailable = "Available"
	// ConditionProgressing says whether a change is being rolled out.
	ConditionProgressing = "Progressing"
	// ConditionDegraded says whether something is wrong that does not mend by
	// itself.
	ConditionDegraded = "Degraded"
	// ConditionUpgradeable says whether the operator may be upgraded now.
	ConditionUpgradeable = "Upgradeable"
)

// Reasons of the conditions of MetalLB.
const (
	// ReasonIncorrectName: the object is not named MetalLBName.
	ReasonIncorrectName = "IncorrectMetalLBResourceName"
	// ReasonAsExpected: nothing to report.
	ReasonAsExpected = "AsExpected"
	// ReasonRollingOut: pods of the wanted kind are not all ready yet.
	ReasonRollingOut = "RollingOut"
	// ReasonInvalidSpec: the spec holds something unusable.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonReconcileFailed: applying the wanted objects failed.
	ReasonReconcileFailed = "ReconcileFailed"
	// ReasonUnavailable: too few pods are ready.
	ReasonUnavailable = "Unavailable"
)

// Condition types of ConfigurationState.
const (
	// ConditionConfigReconcilerValid is a speaker's verdict on the whole
	// configuration.
	ConditionConfigReconcilerValid = "configReconcilerValid"
	// ConditionPoolReconcilerValid is the controller's verdict on the pools.
	ConditionPoolReconcilerValid = "poolReconcilerValid"
	// ConditionDrained says of a speaker's node whether it has given up its BGP
	// routes. It is there from the first drain on.
	ConditionDrained = "Drained"
)

// Reasons of ConditionDrained.
const (
	// ReasonDrained (True): the node drains, and announces nothing any more
	// that another node can announce.
	ReasonDrained = "Drained"
	// ReasonNotDraining (False): the node does not drain.
	ReasonNotDraining = "NotDraining"
	// ReasonYielding (False): the node announces everything as the last to be
	// chosen and waits before it withdraws it.
	ReasonYielding = "Yielding"
	// ReasonWithdrawing (False): FRR does not run yet what withdraws the routes.
	ReasonWithdrawing = "Withdrawing"
	// ReasonLastAnnouncer (False): the node goes on announcing addresses that no
	// other node can announce; the message names Services.
	ReasonLastAnnouncer = "LastAnnouncer"
)

// Reasons of the conditions of ConfigurationState.
const (
	// ReasonReconciled (True): the configuration is valid and in force.
	ReasonReconciled = "Reconciled"
	// ReasonConfigurationError (False): a user must mend an object.
	ReasonConfigurationError = "ConfigurationError"
	// ReasonInfraError (False): the cluster kept the configuration from being
	// read or applied.
	ReasonInfraError = "InfraError"
	// ReasonUnknownError (False): anything else.
	ReasonUnknownError = "UnknownError"
)
