package real_test

import (
	"strings"
	"testing"
)

const customers = "customers.ipynb"

// firstDay is the user's: they start a notebook, compute on everything that the platform has, and see what MLflow remembers. They use a browser
// where there is one, and HTTP elsewhere. Meanwhile the administrator adds GPUs, for which the hub restarts. The channel is closed when the notebook
// runs, or will not.
func firstDay(t *testing.T, e *env, story *story, page *chromium, b *browser, user, password string, arrived chan<- struct{}) {
	t.Helper()
	here := t.Run("The user logs in, chooses an image and a size, and sees JupyterLab", func(t *testing.T) {
		defer story.step(t)()
		b.login(t, user, password)
		if page == nil {
			b.start(t, user)
			b.upload(t, user, customers, notebook(t))
			if lab := b.get(t, "/user/"+user+"/lab"); !strings.Contains(lab, "JupyterLab") {
				t.Errorf("the page of the notebook is not JupyterLab:\n%.500s", lab)
			}
			return
		}
		page.In(t)
		page.choose(t, e, b.address, user, password)
		b.started(t, user)
		b.upload(t, user, customers, notebook(t))
		page.seeLab(t, e)
	})
	close(arrived)
	_ = here && t.Run("The administrator adds GPUs", func(t *testing.T) {
		defer story.step(t)()
		e.addGPUs(t)
	}) && t.Run("A data set goes to S3, Spark counts it, a topic is read from Kafka, a model is trained, MLflow remembers it", func(t *testing.T) {
		defer story.step(t)()
		b.sparkIsKnown(t, user)
		var got string
		if page == nil {
			got = b.execute(t, user, code(t, notebook(t)))
		} else {
			page.In(t)
			got = page.runNotebook(t, e, customers)
		}
		for _, want := range []string{"S3 has 5000 customers", "Spark counts 5000 customers on spark://spark-", "Kafka has 20 messages", "MLflow has an accuracy of 0."} {
			if !strings.Contains(got, want) {
				t.Errorf("the notebook printed %q, want %q in it", got, want)
			}
		}
	}) && (page == nil || t.Run("MLflow's page, behind its login, has the experiment", func(t *testing.T) {
		defer story.step(t)()
		page.In(t)
		page.enter(t, e, "mlflow", `document.body.innerText.includes("churn")`)
		b.close(t, user, customers)
	})) && t.Run("The home has the size that the platform gives", func(t *testing.T) {
		defer story.step(t)()
		got := b.execute(t, user, "import os; s = os.statvfs('.'); print(round(s.f_blocks * s.f_frsize / 2**30, 1))")
		if got != "1.9\n" && got != "2.0\n" {
			t.Errorf("the home has %s GiB, want nearly 2", got)
		}
	}) && t.Run("A cell of Kotlin runs on the Java virtual machine", func(t *testing.T) {
		defer story.step(t)()
		const cell = `println(listOf("data", "hub").joinToString("-") + " on Java " + System.getProperty("java.specification.version"))`
		if got, err := b.tryIn(t, user, "kotlin", cell); err != nil || got != "data-hub on Java 21\n" {
			t.Errorf("the cell printed %q, %v", got, err)
		}
	})
}
