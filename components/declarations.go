package components

import (
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// WithDeclarations is a component that wants something of other components, or offers them something. Whoever wants something
// declares it, whoever provides it renders it, and neither knows the other.
type WithDeclarations interface {
	// Declare returns what the component wants and offers. It follows from the platform's name, the spec and the kind of cluster
	// alone, so it is known before anything is deployed.
	Declare(Facts) Declarations
}

// Declarations are what a component wants of others and what it offers them; in Facts.Declared, those of all components that
// the platform has, in the order of the catalog.
type Declarations struct {
	// Buckets in which the component keeps objects. Package s3 resolves them.
	Buckets []BucketClaim
	// Databases in which the component keeps tables. Package postgresql resolves them.
	Databases []DatabaseClaim
	// Topics to which the component sends messages.
	Topics []TopicClaim
	// ObjectStorage is the S3 service that the component offers the platform. Nil: none.
	ObjectStorage *ObjectStorage
	// MessageBroker is the service with topics that the component offers the platform. Nil: none.
	MessageBroker *MessageBroker
	// Notebooks is what notebooks get from the component.
	Notebooks Notebooks
	// LoginClients are web interfaces that the platform's OpenID Connect provider has to know. None with another login.
	LoginClients []LoginClient
	// Scrapes are the endpoints with the component's metrics.
	Scrapes []Scrape
	// Scraped is whether the component collects the metrics of all others, so that nobody else need do it for them.
	Scraped bool
	// Alerts are rules about the component's metrics.
	Alerts []AlertRules
	// Dashboards show the component's metrics.
	Dashboards []Dashboard
	// Guides tell people how to begin with the component.
	Guides []Guide
}

// Guide is a file guide.yaml, of the component's own folder, as opendatahub.io/operator/portal reads it.
type Guide struct {
	// Component that declared it; NewFacts fills it in.
	Component string
	// Content of the file, which nobody may change.
	Content []byte
}

// LoginClient is a web interface that sends browsers to the platform's OpenID Connect provider. All are the one client of
// spec.authentication.oidc.
type LoginClient struct {
	// Component that it is of; NewFacts fills it in.
	Component string
	// Callback is the address to which the provider sends browsers back, and to no other.
	Callback string
}

// BucketClaim is a request for a bucket.
type BucketClaim struct {
	// Purpose that the bucket serves: "models". Components that name the same purpose share the bucket.
	Purpose string
	// Name that the spec asks for. Empty: Ceph's bucket gets a name of the platform's, and an external service has one that is
	// named after Purpose.
	Name string
	// Field of the spec that holds Name, for messages: "spec.components.seldon.models.bucket".
	Field string
}

// DatabaseClaim is a request for a database on the platform's server.
type DatabaseClaim struct {
	// Purpose that the database serves: "mlflow". Each has one of its own.
	Purpose string
	// Name of the database.
	Name string
	// Field of the spec that asks for it, for messages: "spec.components.mlflow.database".
	Field string
}

// TopicClaim is a request for a topic of the platform's message broker, and for an account that may send messages to it and do nothing
// else. The account logs in with a certificate.
type TopicClaim struct {
	// Purpose that the account serves: "seldon". Each has one of its own.
	Purpose string
	// Name of the topic. It is shared with everybody who names it.
	Name string
	// Field of the spec that holds Name, for messages: "spec.components.seldon.requestLog.topic".
	Field string
	// Pods of the platform's namespace that use the account, by their labels.
	Pods map[string]string
}

// MessageBroker is a service with topics that a component offers.
type MessageBroker struct {
	// Bootstrap is its address for accounts with certificates, as host:port. It speaks TLS.
	Bootstrap string
	// CA signed its certificate.
	CA CertificateAuthority
	// Client is the certificate by which it knows the account of a claim.
	Client func(TopicClaim) ClientCertificate
	// Backends are where its traffic arrives.
	Backends []Backend
}

// ClientCertificate is a Secret in the platform's namespace with a certificate and its key, in PEM.
type ClientCertificate struct {
	Secret string
	// Certificate and Key are the keys of the Secret that hold them.
	Certificate, Key string
}

// ObjectStorage is an S3 service that a component offers.
type ObjectStorage struct {
	// Type that the status shows.
	Type v1alpha1.ObjectStorageType
	// Endpoint is its URL, without a bucket.
	Endpoint string
	// CA signed its certificate. The zero value: a public authority did, or there is no TLS.
	CA CertificateAuthority
	// CAReference is the Secret of CA, if it is a Secret.
	CAReference Reference
	// Buckets that it has besides those that components declare.
	Buckets []BucketClaim
	// Bucket is the bucket that the service has for a claim, and Reference the Secret with which clients log in.
	Bucket func(BucketClaim) (Bucket, Reference)
	// Backends are where its traffic arrives.
	Backends []Backend
}

// CertificateAuthority is a Secret, or else a ConfigMap, in the platform's namespace with certificates in PEM.
type CertificateAuthority struct {
	Secret    string
	ConfigMap string
	// Key that holds the certificates.
	Key string
}

// Bucket is where and how one purpose stores its objects.
type Bucket struct {
	// Purpose as in BucketClaim.
	Purpose string
	// Name of the bucket in the service. Empty if nobody said which bucket of an external service is meant.
	Name string
	// Secret in the platform's namespace with the access key and the secret key.
	Secret string
	// ConfigMap in the platform's namespace with BUCKET_HOST, BUCKET_PORT and BUCKET_NAME. Empty if there is none.
	ConfigMap string
}

// Backend is where traffic arrives, as a network policy sees it: behind the Service.
type Backend struct {
	// Pods in the platform's namespace, by their labels.
	Pods map[string]string
	// Host is an address, or a name that DNS resolves, when it is not Pods of the platform.
	Host string
	// Port of the Pods or of the host.
	Port int32
}

// Notebooks is what notebooks get from a component.
type Notebooks struct {
	// Environment of every notebook.
	Environment []*core.EnvVarApplyConfiguration
	// Backends that they may reach.
	Backends []Backend
	// Offline says that they, and what computes for them, do not reach the internet.
	Offline bool
	// Authorities that signed certificates of these, each with a name that makes its file, see File.
	Authorities []NotebookAuthority
	// Extras are what a notebook has besides when its size asks for it.
	Extras []NotebookExtra
	// Offers are files with sizes that come and go with what the cluster has.
	Offers []NotebookOffers
}

// NotebookOffers is a key of a ConfigMap in the platform's namespace that holds a JSON list of [NotebookOffer].
type NotebookOffers struct{ ConfigMap, Key string }

// NotebookOffer is a size with devices of nodes. Whoever starts notebooks adds CPU and memory.
type NotebookOffer struct {
	// Name tells it from others: letters, digits and -.
	Name string `json:"name"`
	// DisplayName for people, as plain text.
	DisplayName string `json:"displayName"`
	// Resources that the notebook asks for, by their names.
	Resources map[string]string `json:"resources"`
	// NodeSelector and Tolerations say which nodes have them.
	NodeSelector map[string]string     `json:"nodeSelector,omitempty"`
	Tolerations  []v1alpha1.Toleration `json:"tolerations,omitempty"`
}

// NotebookExtra is something of a component that notebooks have only when their size asks for it.
type NotebookExtra struct {
	// Component that offers it, and Name by which sizes ask for it. A component offers a notebook one of its extras.
	Component, Name string
	// Pod returns what the Pod of a notebook needs for it. The names of the Pod and of its user may be templates of whoever
	// creates the Pod.
	Pod func(pod, user string) NotebookPod
}

// NotebookPod is what an extra adds to the Pod of a notebook. Its Secrets may be missing when the notebook starts.
type NotebookPod struct {
	Labels, Annotations map[string]string
	Environment         []*core.EnvVarApplyConfiguration
	Volumes             []*core.VolumeApplyConfiguration
	Mounts              []*core.VolumeMountApplyConfiguration
}

// NotebookAuthority is a certificate authority that every notebook has as a file.
type NotebookAuthority struct {
	Name string
	CertificateAuthority
}

// Folder of the file.
func (a NotebookAuthority) Folder() string { return "/etc/opendatahub/" + a.Name + "-ca" }

// File holds the certificates. It is missing as long as the Secret or ConfigMap is.
func (a NotebookAuthority) File() string { return a.Folder() + "/" + a.Key }

// Volume has the file, and nothing else of the Secret or ConfigMap.
func (a CertificateAuthority) Volume(name string) *core.VolumeApplyConfiguration {
	volume := core.Volume().WithName(name)
	file := core.KeyToPath().WithKey(a.Key).WithPath(a.Key)
	switch {
	case a.Secret != "":
		return volume.WithSecret(core.SecretVolumeSource().WithSecretName(a.Secret).WithItems(file))
	case a.ConfigMap != "":
		return volume.WithConfigMap(core.ConfigMapVolumeSource().WithName(a.ConfigMap).WithItems(file))
	default:
		return nil
	}
}

// NewFacts returns the facts that follow from a resource and the kind of cluster alone. all is what this binary can deploy. The
// facts share the spec with the resource, so nobody may change it.
func NewFacts(odh *v1alpha1.OpenDataHub, cluster Cluster, all []Component) Facts {
	facts := Facts{
		Platform: Platform{Name: odh.Name, Namespace: odh.Namespace},
		Spec:     odh.Spec,
		Cluster:  cluster,
	}
	for _, component := range all {
		declarer, ok := component.(WithDeclarations)
		if !ok {
			continue
		}
		if _, wanted := StateOf(component, facts); wanted {
			facts.Declared.add(component.Name(), declarer.Declare(facts))
		}
	}
	return facts
}

func (d *Declarations) add(component string, more Declarations) {
	d.Buckets = append(d.Buckets, more.Buckets...)
	d.Databases = append(d.Databases, more.Databases...)
	d.Topics = append(d.Topics, more.Topics...)
	if d.MessageBroker == nil {
		d.MessageBroker = more.MessageBroker
	}
	if d.ObjectStorage == nil {
		d.ObjectStorage = more.ObjectStorage
	}
	d.Notebooks.Environment = append(d.Notebooks.Environment, more.Notebooks.Environment...)
	d.Notebooks.Backends = append(d.Notebooks.Backends, more.Notebooks.Backends...)
	d.Notebooks.Offline = d.Notebooks.Offline || more.Notebooks.Offline
	d.Notebooks.Authorities = append(d.Notebooks.Authorities, more.Notebooks.Authorities...)
	d.Notebooks.Extras = append(d.Notebooks.Extras, more.Notebooks.Extras...)
	d.Notebooks.Offers = append(d.Notebooks.Offers, more.Notebooks.Offers...)
	for _, client := range more.LoginClients {
		client.Component = component
		d.LoginClients = append(d.LoginClients, client)
	}
	for _, scrape := range more.Scrapes {
		scrape.Component = component
		d.Scrapes = append(d.Scrapes, scrape)
	}
	d.Scraped = d.Scraped || more.Scraped
	for _, rules := range more.Alerts {
		rules.Component = component
		d.Alerts = append(d.Alerts, rules)
	}
	for _, dashboard := range more.Dashboards {
		dashboard.Component = component
		d.Dashboards = append(d.Dashboards, dashboard)
	}
	for _, guide := range more.Guides {
		guide.Component = component
		d.Guides = append(d.Guides, guide)
	}
}
