package intent

// Rule names what a Problem is a violation of. docs/configuration-problems.md describes each under this name.
type Rule string

// Rules of every kind.
const (
	RuleNamespace      Rule = "Namespace"
	RuleName           Rule = "Name"
	RuleSelector       Rule = "Selector"
	RuleDuplicateEntry Rule = "DuplicateEntry"
	RuleMatchesNothing Rule = "MatchesNothing"
)

// Rules of IPAddressPool.
const (
	RuleAddresses      Rule = "Addresses"
	RuleHostBits       Rule = "HostBits"
	RuleUnusualAddress Rule = "UnusualAddress"
	RuleEntryOverlap   Rule = "EntryOverlap"
	RulePoolOverlap    Rule = "PoolOverlap"

	RuleConflictCheck   Rule = "ConflictCheck"
	RuleFence           Rule = "Fence"
	RuleAllowDisruption Rule = "AllowDisruption"
)

// Rules of IPReservation.
const (
	RuleReservedFor     Rule = "ReservedFor"
	RuleReservedAddress Rule = "ReservedAddress"
	RuleReservedFamily  Rule = "ReservedFamily"
	RuleRetention       Rule = "RetainAfterDelete"
	RuleAddressInNoPool Rule = "AddressInNoPool"
	RuleReservedTwice   Rule = "ReservedTwice"
	RuleReservedUseless Rule = "ReservedUseless"
)

// Rules of AddressQuota.
const (
	RuleLimitFor Rule = "LimitFor"
	RuleLimit    Rule = "Limit"
)

// Rules of BGPPeer by itself.
const (
	RuleMyASN         Rule = "MyASN"
	RulePeerASN       Rule = "PeerASN"
	RuleDynamicASN    Rule = "DynamicASN"
	RuleLocalASN      Rule = "LocalASN"
	RulePeerTarget    Rule = "PeerTarget"
	RulePeerAddress   Rule = "PeerAddress"
	RuleInterface     Rule = "Interface"
	RuleVRF           Rule = "VRF"
	RuleSourceAddress Rule = "SourceAddress"

	RuleListenRange Rule = "ListenRange"
	RuleListenLimit Rule = "ListenLimit"
	RuleListenField Rule = "ListenField"

	RulePeerPort      Rule = "PeerPort"
	RuleHoldTime      Rule = "HoldTime"
	RuleKeepaliveTime Rule = "KeepaliveTime"
	RuleConnectTime   Rule = "ConnectTime"
	RuleRouterID      Rule = "RouterID"
	RuleMultiHop      Rule = "MultiHop"
	RuleTTLSecurity   Rule = "TTLSecurity"
	RuleReceive       Rule = "ToReceive"
	RuleTwoPasswords  Rule = "TwoPasswords"
	RulePassword      Rule = "Password"
	RuleDisableMP     Rule = "DisableMP"
)

// Rules of BGPPeer together with other objects.
const (
	RuleSecretNamespace Rule = "SecretNamespace"
	RuleSecretMissing   Rule = "SecretMissing"
	RuleSecretType      Rule = "SecretType"
	RuleSecretKey       Rule = "SecretKey"
	RuleSecretPassword  Rule = "SecretPassword"
	RuleBFDProfile      Rule = "BFDProfileMissing"
	RuleEchoIPv6        Rule = "EchoIPv6"
	RuleDuplicatePeer   Rule = "DuplicatePeer"
	RuleMyASNDiffers    Rule = "MyASNDiffers"
	RuleRouterIDDiffers Rule = "RouterIDDiffers"

	RuleListenPort         Rule = "ListenPort"
	RuleListenLimitDiffers Rule = "ListenLimitDiffers"
)

// Rules of BFDProfile.
const (
	RuleBFDName     Rule = "BFDName"
	RuleBFDInterval Rule = "BFDInterval"
	RuleBFDMultiple Rule = "BFDMultiplier"
	RuleBFDTTL      Rule = "BFDMinimumTTL"
)

// Rules of FRRSnippet and of the ConfigMap bgpextras.
const (
	RuleRawConfig Rule = "RawConfig"
)

// Rules of Community objects and of communities in advertisements.
const (
	RuleAliasName         Rule = "AliasName"
	RuleDuplicateAlias    Rule = "DuplicateAlias"
	RuleCommunity         Rule = "Community"
	RuleCommunityReserved Rule = "CommunityReserved"
	RuleCommunityAlias    Rule = "CommunityAlias"
	RuleCommunityCount    Rule = "CommunityCount"
)

// Rules of BGPAdvertisement and L2Advertisement; RulePoolMissing is one of all kinds that name pools.
const (
	RuleAggregation          Rule = "AggregationLength"
	RuleAggregateTooLarge    Rule = "AggregateTooLarge"
	RuleServiceAggregation   Rule = "ServiceAggregation"
	RulePoolMissing          Rule = "PoolMissing"
	RulePeerMissing          Rule = "PeerMissing"
	RuleLocalPref            Rule = "LocalPref"
	RuleLocalPrefExternal    Rule = "LocalPrefExternal"
	RulePrepend              Rule = "ASPathPrepend"
	RulePrependDiffers       Rule = "ASPathPrependDiffers"
	RulePrependInternal      Rule = "ASPathPrependInternal"
	RuleMED                  Rule = "MED"
	RuleMEDDiffers           Rule = "MEDDiffers"
	RuleExtCommunity         Rule = "ExtCommunity"
	RuleLinkBandwidth        Rule = "LinkBandwidth"
	RuleLinkBandwidthDiffers Rule = "LinkBandwidthDiffers"
	RuleServiceOverrides     Rule = "ServiceOverrides"
	RuleEqual                Rule = "EqualAdvertisement"
	RuleWeight               Rule = "Weight"
	RulePlacement            Rule = "Placement"
)

// Rules returns every rule, in the order of the documentation.
func Rules() []Rule {
	return []Rule{
		RuleNamespace, RuleName, RuleSelector, RuleDuplicateEntry, RuleMatchesNothing,
		RuleAddresses, RuleHostBits, RuleUnusualAddress, RuleEntryOverlap, RulePoolOverlap,
		RuleConflictCheck, RuleFence, RuleAllowDisruption,
		RuleReservedFor, RuleReservedAddress, RuleReservedFamily, RuleRetention, RuleAddressInNoPool, RuleReservedTwice, RuleReservedUseless,
		RuleLimitFor, RuleLimit,
		RuleMyASN, RulePeerASN, RuleDynamicASN, RuleLocalASN, RulePeerTarget, RulePeerAddress, RuleInterface, RuleVRF,
		RuleListenRange, RuleListenLimit, RuleListenField, RuleSourceAddress, RulePeerPort, RuleHoldTime, RuleKeepaliveTime, RuleConnectTime, RuleRouterID, RuleMultiHop, RuleTTLSecurity, RuleReceive,
		RuleTwoPasswords, RulePassword, RuleDisableMP,
		RuleSecretNamespace, RuleSecretMissing, RuleSecretType, RuleSecretKey, RuleSecretPassword, RuleBFDProfile, RuleEchoIPv6,
		RuleDuplicatePeer, RuleMyASNDiffers, RuleRouterIDDiffers, RuleListenPort, RuleListenLimitDiffers,
		RuleBFDName, RuleBFDInterval, RuleBFDMultiple, RuleBFDTTL,
		RuleRawConfig,
		RuleAliasName, RuleDuplicateAlias, RuleCommunity, RuleCommunityReserved, RuleCommunityAlias, RuleCommunityCount,
		RuleAggregation, RuleAggregateTooLarge, RuleServiceAggregation, RulePoolMissing, RulePeerMissing, RuleLocalPref,
		RuleLocalPrefExternal, RulePrepend, RulePrependDiffers, RulePrependInternal, RuleMED, RuleMEDDiffers, RuleExtCommunity, RuleLinkBandwidth, RuleLinkBandwidthDiffers,
		RuleServiceOverrides, RuleEqual, RuleWeight, RulePlacement,
	}
}
