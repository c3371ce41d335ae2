package v1alpha1

// ProxySpec is the proxy through which addresses outside the cluster are reached.
//
// +kubebuilder:validation:XValidation:rule="has(self.httpProxy) || has(self.httpsProxy)",message="httpProxy or httpsProxy must be set"
type ProxySpec struct {
	// httpProxy is the address of the proxy for http:// addresses, such as http://proxy.example.com:3128. It may not hold a user or a
	// password: it is in the environment of Pods, where their users read it.
	//
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|[[][0-9A-Fa-f:]+[]])(:[0-9]{1,5})?/?$')",message="httpProxy must be a URL such as http://proxy.example.com:3128, without user, password, path or query"
	// +kubebuilder:validation:XValidation:rule="(!self.matches('^https?://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)') || self.matches('^https?://[1-9][0-9]{0,2}([.][0-9]{1,3}){3}([:/]|$)')) && !self.matches('^https?://(127|169[.]254)[.][0-9]') && !self.matches('^https?://[[](::1|::ffff:.*|[fF][eE]80:.*|[fF][dD]00:[eE][cC]2:.*)[]]')",message="httpProxy must not be localhost, a loopback or a link-local address: Pods would reach themselves, or the metadata service of their node"
	// +optional
	HTTPProxy string `json:"httpProxy,omitempty"`

	// httpsProxy is the same for https:// addresses.
	//
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|[[][0-9A-Fa-f:]+[]])(:[0-9]{1,5})?/?$')",message="httpsProxy must be a URL such as http://proxy.example.com:3128, without user, password, path or query"
	// +kubebuilder:validation:XValidation:rule="(!self.matches('^https?://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)') || self.matches('^https?://[1-9][0-9]{0,2}([.][0-9]{1,3}){3}([:/]|$)')) && !self.matches('^https?://(127|169[.]254)[.][0-9]') && !self.matches('^https?://[[](::1|::ffff:.*|[fF][eE]80:.*|[fF][dD]00:[eE][cC]2:.*)[]]')",message="httpsProxy must not be localhost, a loopback or a link-local address: Pods would reach themselves, or the metadata service of their node"
	// +optional
	HTTPSProxy string `json:"httpsProxy,omitempty"`

	// noProxy are host names, domains and all below them (example.com), domains without themselves (.example.com), addresses and
	// networks (10.0.0.0/8) that are reached directly. The cluster's own Services always are. Not every program understands networks.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[-A-Za-z0-9.:/*]+$`
	// +optional
	NoProxy []string `json:"noProxy,omitempty"`
}
