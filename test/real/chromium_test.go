package real_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/node"
)

// envScreenshots names the folder that screenshots of each page are written to. Without it there is no browser.
const envScreenshots = "OPENDATAHUB_SCREENSHOTS"

// chromium is a headless browser that is told what to do over its debugging protocol.
// https://chromedevtools.github.io/devtools-protocol
type chromium struct {
	socket  *websocket.Conn
	session string // of the page, once there is one
	folder  string
	last    int // command
}

// startChromium starts the browser, which ends with the test. It keeps its files in the folder profile, and some of its processes write
// there while they end.
func startChromium(t *testing.T, profile, folder string, flags ...string) *chromium {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	// The certificates are the platform's own: test/login and test/mlflow check them.
	flags = append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--ignore-certificate-errors",
		"--remote-allow-origins=*", "--user-data-dir="+profile, "--window-size=1280,800", "about:blank")
	command := exec.CommandContext(t.Context(), "chromium", flags...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
	c := &chromium{folder: folder}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), "DevTools listening on "); found {
			if c.socket, err = websocket.Dial(address, "", "http://127.0.0.1"); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if c.socket == nil {
		t.Fatal("chromium did not start")
	}
	go func() {
		for lines.Scan() { // nobody reads what it complains about, and it must not wait for that
		}
	}()
	return c
}

// tab opens another tab, and stays in it.
func (c *chromium) tab(t *testing.T, address string) {
	t.Helper()
	c.session = ""
	var target struct{ TargetID string }
	c.call(t, "Target.createTarget", map[string]any{"url": address}, &target)
	var session struct{ SessionID string }
	c.call(t, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	c.session = session.SessionID
}

// call sends a command and waits for its answer.
func (c *chromium) call(t *testing.T, method string, params, into any) {
	t.Helper()
	c.last++
	request := map[string]any{"id": c.last, "method": method}
	if params != nil {
		request["params"] = params
	}
	if c.session != "" {
		request["sessionId"] = c.session
	}
	if err := c.socket.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := websocket.JSON.Send(c.socket, request); err != nil {
		t.Fatal(err)
	}
	for {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := websocket.JSON.Receive(c.socket, &answer); err != nil {
			t.Fatalf("chromium, %s: %v", method, err)
		}
		if answer.ID != c.last {
			continue // an event
		}
		if answer.Error != nil {
			t.Fatalf("chromium, %s: %s", method, answer.Error.Message)
		}
		if into != nil {
			if err := json.Unmarshal(answer.Result, into); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
}

// eval runs JavaScript in the page and returns its value as text.
func (c *chromium) eval(t *testing.T, script string) string {
	t.Helper()
	var answer struct{ Result struct{ Value any } }
	c.call(t, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &answer)
	return fmt.Sprint(answer.Result.Value)
}

// until waits until JavaScript in the page is true. When it does not become so, there is a picture of the page.
func (c *chromium) until(t *testing.T, e *env, script string) {
	t.Helper()
	seen := false
	defer func() {
		if !seen {
			c.screenshot(t, "failed")
		}
	}()
	e.until(t, "in the browser, "+script, func(context.Context) error {
		if got := c.eval(t, "Boolean("+script+")"); got != "true" {
			return fmt.Errorf("it is not so at %s", c.eval(t, "location.href"))
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
		if err := json.Unmarshal([]byte(c.eval(t, find)), &place); err != nil {
			return err
		}
		if place.X == 0 {
			return fmt.Errorf("it is not at %s", c.eval(t, "location.href"))
		}
		return nil
	})
	for i := range times {
		for _, event := range []string{"mousePressed", "mouseReleased"} {
			c.call(t, "Input.dispatchMouseEvent", map[string]any{"type": event, "x": place.X, "y": place.Y, "button": "left", "clickCount": i + 1}, nil)
		}
	}
}

func (c *chromium) screenshot(t *testing.T, name string) {
	t.Helper()
	var answer struct{ Data string }
	c.call(t, "Page.captureScreenshot", map[string]any{"format": "png"}, &answer)
	content, err := base64.StdEncoding.DecodeString(answer.Data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.folder, name+".png"), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fill writes into fields of a form and sends it.
func (c *chromium) fill(t *testing.T, values map[string]string) {
	t.Helper()
	var field string
	for name, value := range values {
		field = fmt.Sprintf("document.querySelector(%q)", "input[name="+name+"]")
		c.eval(t, fmt.Sprintf("%s.value = %q", field, value))
	}
	c.eval(t, "HTMLFormElement.prototype.submit.call("+field+".form)") // a button may be called submit
}

// mlflowHost is MLflow's name in the cluster, under which the browser asks for it.
const mlflowHost = "odh-mlflow." + namespace + ".svc"

// walk goes through the pages as a user does, and keeps a picture of each. The user has no notebook at first, and none at the end.
func walk(t *testing.T, e *env, b *browser, user, password string) {
	t.Helper()
	folder := os.Getenv(envScreenshots)
	if folder == "" {
		t.Skip("set " + envScreenshots + " to a folder for pictures")
	}
	port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-mlflow"}, 443)
	if err != nil {
		t.Fatal(err)
	}
	c := startChromium(t, filepath.Join(e.MachineDir(), "browser"), folder, fmt.Sprintf("--host-resolver-rules=MAP %s:443 127.0.0.1:%d", mlflowHost, port))
	c.tab(t, b.address)
	c.until(t, e, `document.querySelector("input[name=password]")`)
	c.screenshot(t, "1-login")
	c.fill(t, map[string]string{"username": user, "password": password})
	c.until(t, e, `location.pathname.startsWith("/hub/spawn") && document.querySelector("form")`)
	c.eval(t, `document.querySelector("input[name=profile][value=team]").click()`)
	c.screenshot(t, "2-choice")
	c.eval(t, `document.querySelector("form [type=submit]").click()`)
	c.until(t, e, `location.pathname.startsWith("/hub/spawn-pending")`)
	c.screenshot(t, "3-starting")
	c.until(t, e, `location.pathname.startsWith("/user/") && !document.querySelector("#jupyterlab-splash") && document.querySelector(".jp-DirListing-item[title*='customers.ipynb']")`)
	c.screenshot(t, "4-jupyterlab")
	c.click(t, e, `.jp-DirListing-item[title*="customers.ipynb"]`, 2)
	c.until(t, e, `document.querySelector("#jp-main-statusbar")?.textContent.includes("| Idle")`) // the kernel is connected
	c.click(t, e, ".jp-NotebookPanel [data-command='notebook:restart-run-all']", 1)
	c.click(t, e, ".jp-Dialog .jp-mod-accept", 1)
	c.until(t, e, `[...document.querySelectorAll(".jp-OutputArea-output")].some(output => output.textContent.trim() == "done")`)
	c.eval(t, `[...document.querySelectorAll(".jp-OutputArea-output")].at(-1).scrollIntoView({block: "end"})`)
	c.screenshot(t, "5-notebook")
	c.tab(t, "https://"+mlflowHost+"/")
	c.until(t, e, `document.querySelector("input[name=password]")`)
	c.screenshot(t, "6-mlflow-login")
	login := e.secret(t, "odh-mlflow-login")
	c.fill(t, map[string]string{"username": login["username"], "password": login["password"]})
	c.until(t, e, `document.body.innerText.includes("churn")`)
	c.screenshot(t, "7-mlflow")
	b.stop(t, user)
	e.podGone(t, "odh-nb-"+user)
}
