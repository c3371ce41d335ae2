package argoworkflows

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/postgresql"
)

// labelInstance is on the workflows of a controller and on their Pods.
const labelInstance = "workflows.argoproj.io/controller-instanceid"

// workflowPods are the Pods of steps.
func (in inputs) workflowPods() map[string]string {
	return map[string]string{labelInstance: in.instance()}
}

func (in inputs) apiServer() native.Egress {
	return native.To(native.APIServerPorts(), native.Anywhere()...)
}

// database gives a container the authority of the archive's server, which Argo's driver takes from where libpq does.
func (in inputs) database(container *core.ContainerApplyConfiguration, pod *core.PodSpecApplyConfiguration) {
	const folder = "/etc/argo/database-ca"
	if ca := in.archive.Volume("database-ca"); ca != nil {
		container.WithEnv(native.Env("PGSSLROOTCERT", folder+"/"+postgresql.CAKey)).WithVolumeMounts(native.MountReadOnly("database-ca", folder))
		pod.WithVolumes(ca)
	}
}

func (in inputs) controllerPolicy() *networking.NetworkPolicyApplyConfiguration {
	return in.Policy(controllerPart,
		[]native.Ingress{native.From(native.Ports(metricsPort), native.Prometheus(in.OpenShift)...)},
		append([]native.Egress{native.DNS(), in.apiServer()}, in.archive.Egress()...))
}

// workflowPolicy: steps of a platform's workflows may talk to each other, and nobody else to them. They go where their authors send them.
func (in inputs) workflowPolicy() *networking.NetworkPolicyApplyConfiguration {
	return in.PolicyFor(workflowsPart, in.workflowPods(),
		[]native.Ingress{native.From(nil, native.Pods(in.workflowPods()))},
		[]native.Egress{native.DNS(), native.To(nil, native.Anywhere()...)})
}

// serverPolicy: browsers and programs come in; out go the API server, the login provider, the archive, and artifacts.
func (in inputs) serverPolicy() *networking.NetworkPolicyApplyConfiguration {
	egress := append([]native.Egress{native.DNS(), in.apiServer()}, in.archive.Egress()...)
	if in.storage != nil {
		egress = append(egress, in.storage.Egress()...)
	}
	if in.server.sso() {
		ports := append(in.server.login.Ports(), 443)
		slices.Sort(ports)
		egress = append(egress, native.To(slices.Compact(ports), native.Anywhere()...))
		egress = append(egress, in.Outbound.Egress()...)
	}
	return in.Policy(serverPart, []native.Ingress{native.From(native.Ports(serverPort))}, egress)
}

// bind gives the account of a part its ClusterRole, which config/rbac/components has.
func (in inputs) bind(part string) *rbac.RoleBindingApplyConfiguration {
	return rbac.RoleBinding(in.Object(part), in.Platform.Namespace).WithLabels(in.Labels(part)).
		WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName("opendatahub-argoworkflows-" + part)).
		WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithNamespace(in.Platform.Namespace).WithName(in.Object(part)))
}

// users is the ServiceAccount of people who log in to the web interface and have no account in Kubernetes.
func (in inputs) users() *core.ServiceAccountApplyConfiguration {
	account := in.ServiceAccount(usersPart)
	if in.server != nil && in.server.sso() {
		account.WithAnnotations(map[string]string{
			"workflows.argoproj.io/rbac-rule":                  in.server.rule(),
			"workflows.argoproj.io/service-account-token.name": in.Object(tokenName),
		})
	}
	return account
}

func (in inputs) configMap() *core.ConfigMapApplyConfiguration {
	return in.ConfigMap(controllerPart, configName).WithData(map[string]string{"config": in.config()})
}

// storageCA makes OpenShift issue a certificate. Argo reads an authority from Secrets only, and OpenShift publishes its own in
// ConfigMaps. But it adds the authority's certificate to the Secret of each certificate, and the same authority signed the object
// storage's.
func (in inputs) storageCA() *core.ServiceApplyConfiguration {
	return in.Service(in.Object(storageCAName), controllerPart, native.ServicePort(metricsName, metricsPort)).
		WithAnnotations(map[string]string{"service.beta.openshift.io/serving-cert-secret-name": in.Object(storageCAName)})
}

// podName is the variable with the name of the Pod, which identifies it in leader election.
func podName() *core.EnvVarApplyConfiguration {
	return core.EnvVar().WithName("LEADER_ELECTION_IDENTITY").WithValueFrom(
		core.EnvVarSource().WithFieldRef(core.ObjectFieldSelector().WithFieldPath("metadata.name")))
}

func (in inputs) annotations(secrets string) map[string]string {
	return map[string]string{native.AnnotationConfig: native.Digest(in.config()), native.AnnotationSecrets: secrets}
}

func (in inputs) controller() *apps.DeploymentApplyConfiguration {
	container := native.Container(controllerPart, controllerImage, in.resources).
		WithCommand("workflow-controller").
		WithArgs("--configmap", in.Object(configName), "--executor-image", executorImage, "--namespaced", "--log-format", "json").
		WithEnv(podName()).
		WithPorts(native.Port(metricsName, metricsPort), native.Port("health", healthPort)).
		WithLivenessProbe(core.Probe().
			WithHTTPGet(core.HTTPGetAction().WithPath("/healthz").WithPort(intstr.FromString("health"))).
			WithInitialDelaySeconds(90).WithPeriodSeconds(60).WithTimeoutSeconds(30).WithFailureThreshold(3)).
		WithVolumeMounts(native.Mount("tmp", "/tmp"))
	pod := in.Pod(controllerPart, user).
		WithAutomountServiceAccountToken(true). // it starts Pods
		WithVolumes(native.EmptyVolume("tmp"))
	in.database(container, pod)
	pod.WithContainers(container)
	return in.Rolling(controllerPart, in.replicas, in.annotations(in.secrets), pod)
}

// trustsMore reports whether the login provider may have a certificate that no public authority signed.
func (in inputs) trustsMore() bool {
	return in.server.sso() && in.LoginCA() != (components.CertificateAuthority{})
}

func (in inputs) serverObjects() []components.Object {
	owned := components.Owned
	objects := []components.Object{owned(in.serverPolicy()), owned(in.ServiceAccount(serverPart)), owned(in.bind(serverPart))}
	if in.server.sso() {
		objects = append(objects,
			owned(in.Secret(serverPart, ssoName).WithData(map[string][]byte{clientIDKey: []byte(in.server.login.OIDC.ClientID)})),
			owned(in.Secret(usersPart, tokenName).WithType(corev1.SecretTypeServiceAccountToken).
				WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: in.Object(usersPart)})))
	}
	if in.trustsMore() && in.LoginCA().ConfigMap != "" {
		objects = append(objects, owned(in.ClusterCA(serverPart)))
	}
	if in.server.secure() && !in.OpenShift {
		tls := owned(in.Secret(serverPart, tlsName).WithType(corev1.SecretTypeTLS))
		service := in.Web() + "." + in.Platform.Namespace
		tls.Certificate = &components.Certificate{DNSNames: []string{in.Web(), service, service + ".svc", service + ".svc.cluster.local", "localhost"}}
		objects = append(objects, tls)
	}
	return append(objects, owned(in.service()))
}

func (in inputs) service() *core.ServiceApplyConfiguration {
	if !in.server.secure() {
		return in.Service(in.Web(), serverPart, native.ServicePort("http", 80))
	}
	service := in.Service(in.Web(), serverPart, native.ServicePort("https", 443))
	if in.OpenShift {
		service.WithAnnotations(map[string]string{"service.beta.openshift.io/serving-cert-secret-name": in.Object(tlsName)})
	}
	return service
}

func (in inputs) serverDeployment() *apps.DeploymentApplyConfiguration {
	web := in.server
	args := []string{
		"server", "--configmap", in.Object(configName), "--namespaced", "--log-format", "json",
		fmt.Sprintf("--port=%d", serverPort), fmt.Sprintf("--secure=%t", web.secure()), "--auth-mode=client",
	}
	if web.secure() {
		args = append(args, "--tls-certificate-secret-name="+in.Object(tlsName))
	}
	container := native.Container(serverPart, serverImage, web.resources)
	volumes := []*core.VolumeApplyConfiguration{native.EmptyVolume("tmp")}
	container.WithVolumeMounts(native.Mount("tmp", "/tmp"))
	if web.sso() {
		args = append(args, "--auth-mode=sso")
	}
	if in.trustsMore() {
		const folder = "/etc/argo/ca"
		container.WithEnv(native.Env("SSL_CERT_FILE", folder+"/"+in.LoginCA().Key)).WithVolumeMounts(native.MountReadOnly("ca", folder))
		volumes = append(volumes, in.LoginCAVolume("ca"))
	}
	container.WithEnv(in.Outbound.Env()...)
	probe := func(period, failures int32) *core.ProbeApplyConfiguration {
		scheme := corev1.URISchemeHTTP
		if web.secure() {
			scheme = corev1.URISchemeHTTPS
		}
		return core.Probe().
			WithHTTPGet(core.HTTPGetAction().WithPath("/").WithPort(intstr.FromString(web.scheme())).WithScheme(scheme)).
			WithPeriodSeconds(period).WithTimeoutSeconds(5).WithFailureThreshold(failures)
	}
	container.WithArgs(args...).
		WithPorts(native.Port(web.scheme(), serverPort)).
		WithLivenessProbe(probe(20, 6)).
		WithReadinessProbe(probe(10, 3))
	pod := in.Pod(serverPart, user).
		WithAutomountServiceAccountToken(true). // it reads its configuration and certificate from the API server
		WithTerminationGracePeriodSeconds(serverGrace).
		WithVolumes(volumes...)
	in.database(container, pod)
	pod.WithContainers(container)
	return in.Rolling(serverPart, web.replicas, in.annotations(in.serverSecrets), pod)
}

// templateSpec has the fields that are set of a WorkflowTemplate's spec.
type templateSpec struct {
	Entrypoint string     `json:"entrypoint"`
	Templates  []template `json:"templates"`
}

type template struct {
	Name      string                            `json:"name"`
	Inputs    *artifacts                        `json:"inputs,omitempty"`
	Outputs   *artifacts                        `json:"outputs,omitempty"`
	Container *core.ContainerApplyConfiguration `json:"container,omitempty"`
	Steps     [][]step                          `json:"steps,omitempty"`
}

type artifacts struct {
	Artifacts []artifact `json:"artifacts"`
}

type artifact struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
	From string `json:"from,omitempty"`
}

type step struct {
	Name      string     `json:"name"`
	Template  string     `json:"template"`
	Arguments *artifacts `json:"arguments,omitempty"`
}

// check is a workflow that people start to see whether pipelines work here: one step writes a file, another one gets it through the
// object storage. Without object storage one step runs.
func (in inputs) check() *kinds.Resource[templateSpec] {
	const file = "/tmp/answer"
	run := func(command string) *core.ContainerApplyConfiguration {
		container := native.Container("", checkImage, native.Resources("10m", "16Mi", "", "64Mi")).WithCommand("sh", "-c", command)
		container.Name, container.TerminationMessagePolicy, container.SecurityContext = nil, nil, nil
		return container
	}
	spec := templateSpec{Entrypoint: "write", Templates: []template{{Name: "write", Container: run("echo 42 | tee " + file)}}}
	if in.storage != nil {
		spec.Entrypoint = checkPart
		spec.Templates[0].Outputs = &artifacts{[]artifact{{Name: "answer", Path: file}}}
		spec.Templates = append(spec.Templates,
			template{Name: "read", Inputs: &artifacts{[]artifact{{Name: "answer", Path: file}}}, Container: run("grep 42 " + file)},
			template{Name: checkPart, Steps: [][]step{
				{{Name: "write", Template: "write"}},
				{{Name: "read", Template: "read", Arguments: &artifacts{[]artifact{{Name: "answer", From: "{{steps.write.outputs.artifacts.answer}}"}}}}},
			}})
	}
	resource := kinds.New(WorkflowTemplate.GVK(), in.Platform.Namespace, in.Object(checkPart), spec)
	resource.WithLabels(components.Merge(in.Labels(checkPart), in.workflowPods()))
	return resource
}
