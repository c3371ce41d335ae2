package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/node"
	browsing "opendatahub.io/operator/test/browser"
)

const (
	// envBrowser is must where the browser has to be there; elsewhere the step says that it is missing.
	envBrowser = "OPENDATAHUB_TEST_BROWSER"
	// envScreenshots names the folder that screenshots of each page are kept in.
	envScreenshots = "OPENDATAHUB_SCREENSHOTS"
)

// chromium is a browser whose pictures are in a folder.
type chromium struct {
	*browsing.Browser
	folder string
}

// until waits until JavaScript in the page is true. When it does not become so, there is a picture of the page.
func (c *chromium) until(t *testing.T, e *env, script string) {
	t.Helper()
	seen := false
	defer func() {
		if !seen {
			c.screenshot("failed")
		}
	}()
	e.until(t, "in the browser, "+script, func(context.Context) error {
		if got := c.Eval("(() => { try { return Boolean(" + script + ") } catch { return false } })()"); got != "true" {
			return fmt.Errorf("it is not so at %s", c.Eval("location.href"))
		}
		return nil
	})
	seen = true
}

// click waits until an element is there and nothing covers it, and clicks on it as a mouse does, once or twice.
func (c *chromium) click(t *testing.T, e *env, selector string, times int) {
	t.Helper()
	var place struct{ X, Y float64 }
	find := fmt.Sprintf(`JSON.stringify((() => {
		const element = document.querySelector(%q)
		if (!element) return {}
		element.scrollIntoView({block: "nearest"})
		const box = element.getBoundingClientRect()
		const x = box.x + box.width / 2, y = box.y + box.height / 2
		return element.contains(document.elementFromPoint(x, y)) ? {x, y} : {}
	})())`, selector)
	e.until(t, "the page shows "+selector, func(context.Context) error {
		if err := json.Unmarshal([]byte(c.Eval(find)), &place); err != nil {
			return err
		}
		if place.X == 0 {
			return fmt.Errorf("it is not at %s", c.Eval("location.href"))
		}
		return nil
	})
	for i := range times {
		for _, event := range []string{"mousePressed", "mouseReleased"} {
			c.Call("Input.dispatchMouseEvent", map[string]any{"type": event, "x": place.X, "y": place.Y, "button": "left", "clickCount": i + 1}, nil)
		}
	}
}

func (c *chromium) screenshot(name string) { c.Screenshot(filepath.Join(c.folder, name+".png")) }

// fill writes into fields of a form and sends it.
func (c *chromium) fill(t *testing.T, values map[string]string) {
	t.Helper()
	var field string
	for name, value := range values {
		field = fmt.Sprintf("document.querySelector(%q)", "input[name="+name+"]")
		c.Eval(fmt.Sprintf("%s.value = %q", field, value))
	}
	c.Eval("HTMLFormElement.prototype.submit.call(" + field + ".form)") // a button may be called submit
}

// openBrowser starts Chromium. It is nil where there is none: the user does the same over HTTP then.
func openBrowser(t *testing.T, e *env) *chromium {
	t.Helper()
	folder := os.Getenv(envScreenshots)
	if _, err := exec.LookPath(browsing.Program); err != nil && folder == "" && os.Getenv(envBrowser) != "must" {
		t.Logf("there is no %s: the user does without", browsing.Program)
		return nil
	}
	if folder == "" {
		folder = t.TempDir()
	}
	var rules []string
	for _, component := range []string{"portal", "mlflow"} {
		port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-" + component}, 443)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, fmt.Sprintf("MAP %s:443 127.0.0.1:%d", host(component), port))
	}
	// The certificates are the platform's own: test/login and test/mlflow check them.
	return &chromium{folder: folder, Browser: browsing.Start(t, filepath.Join(e.MachineDir(), "browser"), "--ignore-certificate-errors",
		"--window-size=1280,800", "--host-resolver-rules="+strings.Join(rules, ","))}
}

// host is the name of a component's web interface in the cluster, under which the browser asks for it.
func host(component string) string { return "odh-" + component + "." + namespace + ".svc" }

// enter opens a component's web interface, logs in as its administrator, and waits until JavaScript in the page is true.
func (c *chromium) enter(t *testing.T, e *env, component, script string) {
	t.Helper()
	c.Tab("https://" + host(component) + "/")
	c.until(t, e, `document.querySelector("input[name=password]")`)
	login := e.secret(t, "odh-"+component+"-login")
	c.fill(t, map[string]string{"username": login["username"], "password": login["password"]})
	c.until(t, e, script)
	c.screenshot(component)
}

// choose logs in to JupyterHub, chooses an image and a size, and waits until the notebook starts.
func (c *chromium) choose(t *testing.T, e *env, address, user, password string) {
	t.Helper()
	c.Tab(address)
	c.until(t, e, `document.querySelector("input[name=password]")`)
	c.screenshot("login")
	c.fill(t, map[string]string{"username": user, "password": password})
	c.until(t, e, `location.pathname.startsWith("/hub/spawn") && document.querySelector("form")`)
	c.Eval(`document.querySelector("input[name=profile][value=team]").click()`)
	c.screenshot("choice")
	c.Eval(`document.querySelector("form [type=submit]").click()`)
	c.until(t, e, `location.pathname.startsWith("/hub/spawn-pending")`)
	c.screenshot("starting")
}

// seeLab waits until JupyterLab is there, with the files and what can be started.
func (c *chromium) seeLab(t *testing.T, e *env) {
	t.Helper()
	c.until(t, e, `location.pathname.startsWith("/user/") && document.querySelector(".jp-DirListing") &&
		document.querySelector(".jp-LauncherCard") && !document.querySelector("#jupyterlab-splash")`)
	c.screenshot("jupyterlab")
}

// runNotebook opens a notebook of the user's home, runs all of its cells, of which the last prints done, and returns what they print.
func (c *chromium) runNotebook(t *testing.T, e *env, file string) string {
	t.Helper()
	item := fmt.Sprintf(`.jp-DirListing-item[title*=%q]`, file)
	c.Eval(`document.querySelector("[data-command='filebrowser:refresh']").click()`)
	c.click(t, e, item, 2)
	c.until(t, e, `document.querySelector("#jp-main-statusbar")?.textContent.includes("| Idle")`) // the kernel is connected
	c.click(t, e, ".jp-NotebookPanel [data-command='notebook:restart-run-all']", 1)
	c.click(t, e, ".jp-Dialog .jp-mod-accept", 1)
	const outputs = `[...document.querySelectorAll(".jp-OutputArea-output")]`
	c.until(t, e, outputs+`.some(output => output.textContent.trim() == "done")`)
	c.Eval(outputs + `.at(-1).scrollIntoView({block: "end"})`)
	c.screenshot("notebook")
	return c.Eval(outputs + `.map(output => output.textContent).join("\n")`)
}
