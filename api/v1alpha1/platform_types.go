package v1alpha1

// ObjectStorageType says where S3 comes from.
//
// +kubebuilder:validation:Enum=Ceph;External
type ObjectStorageType string

// The object storage types.
const (
	// ObjectStorageCeph takes S3 from the platform's own ceph component.
	ObjectStorageCeph ObjectStorageType = "Ceph"
	// ObjectStorageExternal takes S3 from a service that exists already.
	ObjectStorageExternal ObjectStorageType = "External"
)

// ObjectStorageSpec is the one S3 setting of the platform.
//
// +kubebuilder:validation:XValidation:rule="has(self.external) == (has(self.type) && self.type == 'External')",message="external must be set when type is External, and only then"
type ObjectStorageSpec struct {
	// type is Ceph (the platform's own ceph component) or External. Defaults to Ceph when the ceph component is
	// named, otherwise the platform has no object storage.
	//
	// +optional
	Type ObjectStorageType `json:"type,omitempty"`

	// external is the S3 service to use when type is External.
	//
	// +optional
	External *ExternalObjectStorage `json:"external,omitempty"`
}

// ExternalObjectStorage is an S3 service outside the platform.
//
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || self.endpoint.startsWith('https://')",message="caSecretRef is allowed only when endpoint begins with https://"
type ExternalObjectStorage struct {
	// endpoint is the URL of the service without a bucket, such as https://s3.eu-central-1.amazonaws.com.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$')",message="endpoint must be a URL such as https://s3.example.com or http://minio.data.svc:9000, without path, user or query"
	// +kubebuilder:validation:XValidation:rule="(!self.matches('^https?://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)') || self.matches('^https?://[1-9][0-9]{0,2}([.][0-9]{1,3}){3}([:/]|$)')) && !self.matches('^https?://(127|169[.]254)[.][0-9]')",message="endpoint must not be localhost, a loopback or a link-local address: Pods would reach themselves, or the metadata service of their node"
	// +required
	Endpoint string `json:"endpoint"`

	// region sent in signatures.
	//
	// +kubebuilder:default=us-east-1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Region string `json:"region,omitempty"`

	// addressing is Path (https://host/bucket, what most S3 services other than Amazon's need) or VirtualHost
	// (https://bucket.host).
	//
	// +kubebuilder:default=Path
	// +kubebuilder:validation:Enum=Path;VirtualHost
	// +optional
	Addressing string `json:"addressing,omitempty"`

	// credentialsSecretRef names a Secret in the platform's namespace with the keys AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY.
	//
	// +required
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef"`

	// caSecretRef names a Secret in the platform's namespace whose key ca.crt holds the certificate authority of the
	// endpoint, in PEM. If unset, those of trustedCASecretRef are trusted, or the public authorities.
	//
	// +optional
	CASecretRef LocalReference `json:"caSecretRef,omitempty,omitzero"`
}

// LocalReference names an object in the platform's own namespace. Other namespaces cannot be reached.
type LocalReference struct {
	// name of the object.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`
}

// AuthenticationType says who knows the users.
//
// +kubebuilder:validation:Enum=OpenShift;OIDC;Local
type AuthenticationType string

// The authentication types.
const (
	// AuthenticationOpenShift logs people in with their OpenShift account.
	AuthenticationOpenShift AuthenticationType = "OpenShift"
	// AuthenticationOIDC logs people in at an OpenID Connect provider.
	AuthenticationOIDC AuthenticationType = "OIDC"
	// AuthenticationLocal gives each web interface an administrator with a generated password in a Secret.
	AuthenticationLocal AuthenticationType = "Local"
)

// AuthenticationSpec is one login for all web interfaces.
//
// +kubebuilder:validation:XValidation:rule="has(self.oidc) == (has(self.type) && self.type == 'OIDC')",message="oidc must be set when type is OIDC, and only then"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Local' || !(has(self.adminGroups) || has(self.allowedGroups))",message="adminGroups and allowedGroups are allowed only when type is OpenShift or OIDC: with type Local there are no groups"
type AuthenticationSpec struct {
	// type is OpenShift, OIDC or Local. Defaults to OpenShift on OpenShift, otherwise Local with a generated
	// password. There is no way to switch authentication off.
	//
	// +optional
	Type AuthenticationType `json:"type,omitempty"`

	// oidc is the OpenID Connect provider when type is OIDC.
	//
	// +optional
	OIDC *OIDCSpec `json:"oidc,omitempty"`

	// adminUsers are the user names that administer the platform's web interfaces.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._@+]*$`
	// +optional
	AdminUsers []string `json:"adminUsers,omitempty"`

	// adminGroups are the groups whose members administer the platform's web interfaces. OpenShift and OIDC only.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9/][-A-Za-z0-9._@:/+]*$`
	// +optional
	AdminGroups []string `json:"adminGroups,omitempty"`

	// allowedGroups are the groups whose members may log in. If unset, every user that OpenShift or the OIDC
	// provider knows may. OpenShift and OIDC only.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9/][-A-Za-z0-9._@:/+]*$`
	// +optional
	AllowedGroups []string `json:"allowedGroups,omitempty"`
}

// OIDCSpec is an OpenID Connect provider.
type OIDCSpec struct {
	// issuer is the URL of the provider, as in its discovery document, such as https://sso.example.com/realms/odh.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[-A-Za-z0-9._~/]*)?$')",message="issuer must be an https URL without user, query or fragment, such as https://sso.example.com/realms/odh"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)')",message="issuer must have a host name, no IP address and not localhost: it is where people's logins go, and its certificate is checked"
	// +required
	Issuer string `json:"issuer"`

	// clientID of the platform at the provider.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9._:/@]+$`
	// +required
	ClientID string `json:"clientID"`

	// clientSecretRef names a Secret in the platform's namespace whose key clientSecret holds the client's secret.
	//
	// +required
	ClientSecretRef LocalReference `json:"clientSecretRef"`

	// authorizationEndpoint, tokenEndpoint and userInfoEndpoint are the provider's addresses, from its discovery
	// document. If unset, those of Keycloak below the issuer are used.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https://[-A-Za-z0-9._~/:]+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)')",message="authorizationEndpoint must have a host name, no IP address and not localhost: it is where people's logins go, and its certificate is checked"
	// +optional
	AuthorizationEndpoint string `json:"authorizationEndpoint,omitempty"`

	// tokenEndpoint: see authorizationEndpoint.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https://[-A-Za-z0-9._~/:]+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)')",message="tokenEndpoint must have a host name, no IP address and not localhost: it is where people's logins go, and its certificate is checked"
	// +optional
	TokenEndpoint string `json:"tokenEndpoint,omitempty"`

	// userInfoEndpoint: see authorizationEndpoint.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https://[-A-Za-z0-9._~/:]+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://([^/:]*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)[.]?([:/]|$)')",message="userInfoEndpoint must have a host name, no IP address and not localhost: it is where people's logins go, and its certificate is checked"
	// +optional
	UserInfoEndpoint string `json:"userInfoEndpoint,omitempty"`

	// usernameClaim is the claim that becomes the user name.
	//
	// +kubebuilder:default=preferred_username
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.:-]+$`
	// +optional
	UsernameClaim string `json:"usernameClaim,omitempty"`

	// groupsClaim is the claim that holds the user's groups.
	//
	// +kubebuilder:default=groups
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.:-]+$`
	// +optional
	GroupsClaim string `json:"groupsClaim,omitempty"`

	// scopes to ask the provider for. Defaults to openid, profile and email. Providers other than Keycloak often need
	// groups as well before they tell a user's groups; Keycloak refuses scopes that it does not know.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[-A-Za-z0-9_.:/]+$`
	// +optional
	Scopes []string `json:"scopes,omitempty"`
}

// IngressType says with which API web interfaces are exposed.
//
// +kubebuilder:validation:Enum=Route;Ingress;Gateway;None
type IngressType string

// The ingress types.
const (
	// IngressRoute uses OpenShift Routes.
	IngressRoute IngressType = "Route"
	// IngressIngress uses networking.k8s.io/v1 Ingresses.
	IngressIngress IngressType = "Ingress"
	// IngressGateway uses Gateway API HTTPRoutes.
	IngressGateway IngressType = "Gateway"
	// IngressNone exposes nothing outside the cluster; use kubectl port-forward.
	IngressNone IngressType = "None"
)

// IngressSpec says how web interfaces are reached. Host names are <interface>-<platform>.<domain>.
//
// +kubebuilder:validation:XValidation:rule="has(self.gateway) == (has(self.type) && self.type == 'Gateway')",message="gateway must be set when type is Gateway, and only then"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || !(self.type in ['Ingress', 'Gateway']) || has(self.domain)",message="domain is required when type is Ingress or Gateway: host names derive from it"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'None' || !has(self.domain)",message="domain is allowed only when type is Route, Ingress or Gateway: with type None there are no host names"
// +kubebuilder:validation:XValidation:rule="!has(self.className) || !has(self.type) || self.type == 'Ingress'",message="className is allowed only when type is Ingress"
// +kubebuilder:validation:XValidation:rule="!has(self.tlsSecretRef) || !has(self.type) || self.type in ['Route', 'Ingress']",message="tlsSecretRef is allowed only when type is Route or Ingress: a Gateway has certificates of its own"
type IngressSpec struct {
	// type is Route, Ingress, Gateway or None. Defaults to Route on OpenShift; elsewhere Ingress when a domain is given,
	// otherwise None.
	//
	// +optional
	Type IngressType `json:"type,omitempty"`

	// domain below which the host names of web interfaces are made. On OpenShift the default is the domain of the
	// cluster's own ingress.
	//
	// +kubebuilder:validation:MaxLength=180
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +optional
	Domain string `json:"domain,omitempty"`

	// className is the IngressClass to use. Defaults to the cluster's default.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +optional
	ClassName string `json:"className,omitempty"`

	// tlsSecretRef names a Secret of type kubernetes.io/tls in the platform's namespace that is valid for
	// *.<domain>. If unset, Routes use the router's own certificate; an Ingress uses its controller's default.
	//
	// +optional
	TLSSecretRef LocalReference `json:"tlsSecretRef,omitempty,omitzero"`

	// gateway is the Gateway that HTTPRoutes attach to when type is Gateway.
	//
	// +optional
	Gateway *GatewayReference `json:"gateway,omitempty"`
}

// GatewayReference names a Gateway. It may live in another namespace if that Gateway allows routes from the platform's.
type GatewayReference struct {
	// name of the Gateway.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// namespace of the Gateway. Defaults to the platform's.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// sectionName is the listener of the Gateway to attach to. Defaults to all of them.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +optional
	SectionName string `json:"sectionName,omitempty"`
}

// InstallationPolicy says who installs third-party operators.
//
// +kubebuilder:validation:Enum=Auto;Manual
type InstallationPolicy string

// The installation policies.
const (
	// InstallationAuto adopts operators that exist and lets the installer install the missing ones.
	InstallationAuto InstallationPolicy = "Auto"
	// InstallationManual installs nothing; conditions say what is missing and how to install it.
	InstallationManual InstallationPolicy = "Manual"
)

// DependenciesSpec is about third-party operators.
type DependenciesSpec struct {
	// installation is Auto (operators that exist are used; the cluster's installer, where there is one, installs the
	// missing ones) or Manual (nothing is installed; conditions say what is missing).
	//
	// +kubebuilder:default=Auto
	// +optional
	Installation InstallationPolicy `json:"installation,omitempty"`
}
