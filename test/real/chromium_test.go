package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// mlflowHost is MLflow's name in the cluster, under which the browser asks for it.
const mlflowHost = "odh-mlflow." + namespace + ".svc"

// walk goes through the pages as a user does, and keeps a picture of each. The user has no notebook at first, and none at the end.
func walk(t *testing.T, e *env, b *browser, user, password string) {
	t.Helper()
	folder := os.Getenv(envScreenshots)
	if _, err := exec.LookPath(browsing.Program); err != nil && folder == "" && os.Getenv(envBrowser) != "must" {
		t.Skip("there is no " + browsing.Program)
	}
	if folder == "" {
		folder = t.TempDir()
	}
	port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-mlflow"}, 443)
	if err != nil {
		t.Fatal(err)
	}
	// The certificates are the platform's own: test/login and test/mlflow check them.
	c := &chromium{folder: folder, Browser: browsing.Start(t, filepath.Join(e.MachineDir(), "browser"), "--ignore-certificate-errors",
		"--window-size=1280,800", fmt.Sprintf("--host-resolver-rules=MAP %s:443 127.0.0.1:%d", mlflowHost, port))}
	c.Tab(b.address)
	c.until(t, e, `document.querySelector("input[name=password]")`)
	c.screenshot("1-login")
	c.fill(t, map[string]string{"username": user, "password": password})
	c.until(t, e, `location.pathname.startsWith("/hub/spawn") && document.querySelector("form")`)
	c.Eval(`document.querySelector("input[name=profile][value=team]").click()`)
	c.screenshot("2-choice")
	c.Eval(`document.querySelector("form [type=submit]").click()`)
	c.until(t, e, `location.pathname.startsWith("/hub/spawn-pending")`)
	c.screenshot("3-starting")
	c.until(t, e, `location.pathname.startsWith("/user/") && !document.querySelector("#jupyterlab-splash") && document.querySelector(".jp-DirListing-item[title*='customers.ipynb']")`)
	c.screenshot("4-jupyterlab")
	c.click(t, e, `.jp-DirListing-item[title*="customers.ipynb"]`, 2)
	c.until(t, e, `document.querySelector("#jp-main-statusbar")?.textContent.includes("| Idle")`) // the kernel is connected
	c.click(t, e, ".jp-NotebookPanel [data-command='notebook:restart-run-all']", 1)
	c.click(t, e, ".jp-Dialog .jp-mod-accept", 1)
	c.until(t, e, `[...document.querySelectorAll(".jp-OutputArea-output")].some(output => output.textContent.trim() == "done")`)
	c.Eval(`[...document.querySelectorAll(".jp-OutputArea-output")].at(-1).scrollIntoView({block: "end"})`)
	c.screenshot("5-notebook")
	c.Tab("https://" + mlflowHost + "/")
	c.until(t, e, `document.querySelector("input[name=password]")`)
	c.screenshot("6-mlflow-login")
	login := e.secret(t, "odh-mlflow-login")
	c.fill(t, map[string]string{"username": login["username"], "password": login["password"]})
	c.until(t, e, `document.body.innerText.includes("churn")`)
	c.screenshot("7-mlflow")
	b.stop(t, user)
	e.podGone(t, "odh-nb-"+user)
}
