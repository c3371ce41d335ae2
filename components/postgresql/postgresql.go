// Package postgresql is how components use a PostgreSQL database: one that their own block names, or one on the server that
// spec.database names. It follows from the spec, and from what components declare. Nothing is used that the component's block does
// not ask for: a platform that gets a server moves nobody's data to it.
package postgresql

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// Keys of Secrets.
const (
	// URIKey holds the address of a database, with user and password.
	URIKey = "uri"
	// UsernameKey and PasswordKey hold the login of the platform's server, CAKey its certificate authority.
	UsernameKey = "username"
	PasswordKey = "password"
	CAKey       = "ca.crt"
)

const (
	serverField = "spec.database.external"
	defaultPort = 5432
	// sqlAlchemy begins addresses with the driver that JupyterHub's and MLflow's images have. Without it SQLAlchemy 2.1 takes psycopg 3,
	// which they do not have: https://docs.sqlalchemy.org/en/21/changelog/migration_21.html
	sqlAlchemy = "postgresql+psycopg2://"
	// maxName is how many characters PostgreSQL keeps of the name of a database.
	maxName = 63
)

// Setting is what a component's block says about its database.
type Setting struct {
	// Purpose of the database: "mlflow".
	Purpose string
	// Field of the block, for messages: "spec.components.mlflow.database".
	Field string
	// Type as the block says it. Empty: PostgreSQL if there is a Secret, otherwise SQLite.
	Type v1alpha1.DatabaseType
	// Name of the database on the platform's server. Empty: one that no other platform of the cluster has.
	Name string
	// Secret with the address of a database of the component's own, and Port that the network policy opens for it.
	Secret string
	Port   int32
}

// Database is how Pods find and reach a PostgreSQL database. Nil, as with SQLite, there is nothing to mount, to reach or to read.
type Database struct {
	// Source is what says where it is, for messages: "Secret postgres", or "spec.database.external".
	Source string

	secrets []string
	// uriSecret holds all that there is to know. Empty on the platform's server.
	uriSecret string
	server    v1alpha1.ExternalDatabase
	name      string
	backend   components.Backend
}

// Claims are what a component with this setting declares.
func (s Setting) Claims(platform components.Platform) []components.DatabaseClaim {
	if s.Type != v1alpha1.DatabasePlatform {
		return nil
	}
	// Neither a namespace nor a platform has an underscore in its name.
	name := cmp.Or(s.Name, strings.Join([]string{platform.Namespace, platform.Name, s.Purpose}, "_"))
	return []components.DatabaseClaim{{Purpose: s.Purpose, Name: name, Field: s.Field}}
}

// Resolve returns the database; nil with SQLite.
func (s Setting) Resolve(facts components.Facts) (*Database, error) {
	if s.Type != v1alpha1.DatabasePlatform {
		if s.Secret == "" {
			return nil, nil
		}
		return &Database{
			Source: "Secret " + s.Secret, secrets: []string{s.Secret}, uriSecret: s.Secret,
			backend: components.Backend{Port: cmp.Or(s.Port, defaultPort)},
		}, nil
	}
	if facts.Spec.Database == nil {
		return nil, components.Invalid(s.Field+".type", "the platform has no database server; set %s, or use type SQLite or PostgreSQL", serverField)
	}
	name := s.Claims(facts.Platform)[0].Name
	if len(name) > maxName {
		return nil, components.Invalid(s.Field+".name", "%s is longer than the %d characters that PostgreSQL allows; set a shorter name", name, maxName)
	}
	for _, other := range facts.Declared.Databases {
		if other.Name == name && other.Purpose != s.Purpose {
			return nil, components.Invalid(s.Field+".name", "%s is the database of %s, too; each needs its own", name, other.Field)
		}
	}
	server := facts.Spec.Database.External
	server.Port = cmp.Or(server.Port, defaultPort)
	database := &Database{
		Source: serverField, secrets: []string{server.CredentialsSecretRef.Name}, server: server, name: name,
		backend: components.Backend{Host: server.Host, Port: server.Port},
	}
	if server.CASecretRef.Name != "" {
		database.secrets = append(database.secrets, server.CASecretRef.Name)
	}
	return database, nil
}

// References is what a component with this setting adds to its References.
func (s Setting) References(facts components.Facts) []components.Reference {
	database, err := s.Resolve(facts)
	switch {
	case err != nil || database == nil:
		return nil // Render says why
	case database.uriSecret != "":
		return []components.Reference{{Field: s.Field + ".uriSecretRef", Name: database.uriSecret, Keys: []string{URIKey}}}
	}
	server := database.server
	references := []components.Reference{{
		Field: serverField + ".credentialsSecretRef", Name: server.CredentialsSecretRef.Name, Keys: []string{UsernameKey, PasswordKey},
		SentTo: []string{database.address()},
	}}
	if ca := server.CASecretRef.Name; ca != "" {
		references = append(references, components.Reference{Field: serverField + ".caSecretRef", Name: ca, Keys: []string{CAKey}})
	}
	return references
}

// address of the server, without a database.
func (d *Database) address() string {
	return "postgresql://" + d.hostPort()
}

func (d *Database) hostPort() string { return fmt.Sprintf("%s:%d", d.server.Host, d.server.Port) }

// Env is the environment in which programs that use SQLAlchemy and libpq find the database: its URI in the variable, and what is no part
// of that. Credentials are referred to. caFolder is where the container has Volume.
func (d *Database) Env(variable, caFolder string) []*core.EnvVarApplyConfiguration {
	if d.uriSecret != "" {
		return []*core.EnvVarApplyConfiguration{native.SecretEnv(variable, d.uriSecret, URIKey)}
	}
	// https://www.postgresql.org/docs/current/libpq-envars.html
	env := []*core.EnvVarApplyConfiguration{
		native.Env(variable, sqlAlchemy+d.hostPort()+"/"+d.name),
		native.SecretEnv("PGUSER", d.server.CredentialsSecretRef.Name, UsernameKey),
		native.SecretEnv("PGPASSWORD", d.server.CredentialsSecretRef.Name, PasswordKey),
	}
	if d.ca() == (components.CertificateAuthority{}) {
		return append(env, native.Env("PGSSLMODE", "disable"))
	}
	return append(env, native.Env("PGSSLMODE", "verify-full"), native.Env("PGSSLROOTCERT", path.Join(caFolder, CAKey)))
}

func (d *Database) ca() components.CertificateAuthority {
	if d.server.CASecretRef.Name == "" {
		return components.CertificateAuthority{}
	}
	return components.CertificateAuthority{Secret: d.server.CASecretRef.Name, Key: CAKey}
}

// Volume has the certificate authority of the platform's server. Nil when there is none to mount.
func (d *Database) Volume(name string) *core.VolumeApplyConfiguration {
	if d == nil {
		return nil
	}
	return d.ca().Volume(name)
}

// Egress are the rules of a network policy that let Pods reach the database. Only its Secret says where a database of the component's
// own is.
func (d *Database) Egress() []native.Egress {
	if d == nil {
		return nil
	}
	return native.Reach(d.backend)
}

// Secrets are those that Pods read at their start.
func (d *Database) Secrets() []string {
	if d == nil {
		return nil
	}
	return d.secrets
}

// Server is where the database is, for programs that take no URI, and its name there. The zero value unless it is on the platform's
// server.
func (d *Database) Server() (server v1alpha1.ExternalDatabase, name string) { return d.server, d.name }

// Status is which databases the platform uses on its server.
func Status(facts components.Facts) []v1alpha1.DatabaseStatus {
	if facts.Spec.Database == nil {
		return nil
	}
	var status []v1alpha1.DatabaseStatus
	for _, claim := range facts.Declared.Databases {
		status = append(status, v1alpha1.DatabaseStatus{Purpose: claim.Purpose, Name: claim.Name})
	}
	return status
}
