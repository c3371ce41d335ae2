// The Operator Lifecycle Manager as it is released, with the versions of its own go.mod: build.sh builds it from its sources.
module opendatahub.io/operator/hack/olm

go 1.26.3

require github.com/operator-framework/operator-lifecycle-manager v0.46.0 // indirect
