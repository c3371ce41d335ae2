// Package browser is a headless Chromium that is told what to do over its debugging protocol, in a pipe.
// https://chromedevtools.github.io/devtools-protocol
package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Program is what must be on the PATH.
const Program = "chromium"

// patience is how long a command, or what Until waits for, may take.
const patience = time.Minute

// Browser is one page of a Chromium.
type Browser struct {
	t        *testing.T
	commands *os.File
	messages *os.File
	answers  *bufio.Reader // of messages
	log      string        // file of what it complains about
	session  string        // of the page, once there is one
	last     int           // command
}

// Start starts the browser, which ends with the test, also when the test is killed. It keeps its files in the folder profile.
func Start(t *testing.T, profile string, flags ...string) *Browser {
	t.Helper()
	// None of it asks for anything outside this machine.
	flags = append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	b := &Browser{t: t, log: profile + ".log"}
	theirCommands, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	messages, theirMessages, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.commands, b.messages, b.answers = commands, messages, bufio.NewReader(messages)
	log, err := os.Create(b.log)
	if err != nil {
		t.Fatal(err)
	}
	// The context of a test ends before its clean-up, which lets the browser end by itself.
	command := exec.CommandContext(context.WithoutCancel(t.Context()), Program, flags...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stderr = log
	command.ExtraFiles = []*os.File{theirCommands, theirMessages} // it reads from 3, and writes to 4
	err = command.Start()
	for _, theirs := range []*os.File{theirCommands, theirMessages, log} {
		_ = theirs.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It ends when nobody can tell it anything any more, and takes its temporary files away.
		_, _ = commands.Close(), messages.SetReadDeadline(time.Time{})
		impatience := time.AfterFunc(patience, func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
		defer impatience.Stop()
		_, _ = io.Copy(io.Discard, b.answers)
		_ = command.Wait()
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // those of its processes that still write
		_ = messages.Close()
	})
	b.Tab("about:blank")
	b.Call("Page.enable", nil, nil)
	return b
}

// In is the browser as a part of the test sees it that ends before the browser does.
func (b *Browser) In(t *testing.T) *Browser {
	t.Helper()
	b.t = t
	return b
}

// Tab opens another tab, and stays in it.
func (b *Browser) Tab(address string) {
	b.t.Helper()
	b.session = ""
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": address}, &target)
	var session struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
}

// Call sends a command of the protocol to the page and waits for its answer, which it decodes into a pointer if that is not nil.
func (b *Browser) Call(method string, params, into any) {
	b.t.Helper()
	if refusal := b.ask(method, params, into); refusal != "" {
		b.t.Fatalf("chromium, %s: %s", method, refusal)
	}
}

// ask is Call for what the browser may refuse. It returns the browser's words.
func (b *Browser) ask(method string, params, into any) (refusal string) {
	b.t.Helper()
	b.last++
	request := map[string]any{"id": b.last, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	message, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	if err := errors.Join(b.commands.SetWriteDeadline(deadline), b.messages.SetReadDeadline(deadline)); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.commands.Write(append(message, 0)); err != nil {
		b.fail(method, err)
	}
	for {
		message, err := b.answers.ReadBytes(0)
		if err != nil {
			b.fail(method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(message[:len(message)-1], &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID != b.last {
			continue // an event
		}
		if answer.Error != nil {
			return answer.Error.Message
		}
		if into != nil {
			if err := json.Unmarshal(answer.Result, into); err != nil {
				b.t.Fatal(err)
			}
		}
		return ""
	}
}

// fail ends the test with what the browser complained about last.
func (b *Browser) fail(method string, err error) {
	b.t.Helper()
	log, _ := os.ReadFile(b.log)
	b.t.Fatalf("chromium, %s: %v\n%s", method, err, log[max(0, len(log)-2000):])
}

// Eval runs JavaScript in the page, waits for it if it is a promise, and returns its value as text.
func (b *Browser) Eval(script string) string {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		b.t.Fatalf("JavaScript: %s %s", e.Text, e.Exception.Description)
	}
	return fmt.Sprint(answer.Result.Value)
}

// Until waits until JavaScript in the page is true.
func (b *Browser) Until(script string) {
	b.t.Helper()
	err := wait.PollUntilContextTimeout(b.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return b.Eval("Boolean("+script+")") == "true", nil
	})
	if err != nil {
		b.t.Fatalf("it is not so at %s: %s: %v", b.Eval("location.href"), script, err)
	}
}

// Open goes to an address and waits until its page is there.
func (b *Browser) Open(address string) {
	b.t.Helper()
	var answer struct{ ErrorText string }
	b.Call("Page.navigate", map[string]any{"url": address}, &answer)
	if answer.ErrorText != "" {
		b.t.Fatalf("opening %s: %s", address, answer.ErrorText)
	}
	b.Until(`document.readyState == "complete"`)
}

// Screen is what the page is shown on, in CSS pixels.
type Screen struct {
	Width, Height int
	// Phone has a viewport that follows the page's own wishes.
	Phone bool
	// Dark is whether its owner prefers dark pages.
	Dark bool
}

// Show changes the screen.
func (b *Browser) Show(screen Screen) {
	b.t.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": screen.Width, "height": screen.Height, "deviceScaleFactor": 1, "mobile": screen.Phone,
	}, nil)
	scheme := "light"
	if screen.Dark {
		scheme = "dark"
	}
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Press presses a key, such as Tab or Enter, as a keyboard does.
func (b *Browser) Press(key string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13}
	code, ok := codes[key]
	if !ok {
		b.t.Fatalf("no key %s", key)
	}
	press := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		press["text"] = "\r"
	}
	b.Call("Input.dispatchKeyEvent", press, nil)
	press["type"] = "keyUp"
	delete(press, "text")
	b.Call("Input.dispatchKeyEvent", press, nil)
}

// Screenshot keeps a picture of the whole page in a file, as PNG or, at a size for documents, WebP.
func (b *Browser) Screenshot(file string) {
	b.t.Helper()
	var answer struct{ Data string }
	refusal := ""
	err := wait.PollUntilContextTimeout(b.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		refusal = b.ask("Page.captureScreenshot", map[string]any{"format": strings.TrimPrefix(filepath.Ext(file), "."), "captureBeyondViewport": true, "quality": 50}, &answer)
		// Between two pages there is none to take a picture of.
		if refusal != "" && !strings.Contains(refusal, "0 width") {
			return false, errors.New("chromium refuses it")
		}
		return refusal == "", nil
	})
	if err != nil {
		b.t.Fatalf("picture of %s: %v: %s", b.Eval("location.href"), err, refusal)
	}
	content, err := base64.StdEncoding.DecodeString(answer.Data)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, content, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
