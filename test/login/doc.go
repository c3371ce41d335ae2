// Package login_test starts what components/native renders in front of web interfaces in a real oauth2-proxy, the version
// inside the image, which hack/go-program.sh builds and keeps. Browsers, the router, the web interface and the OpenID
// Connect provider are stand-ins. Everything is on 127.0.0.1.
package login_test
