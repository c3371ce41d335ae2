package real_test

import (
	"strings"
	"testing"
)

// firstDay is the user's: they look at the platform's page, start a notebook, compute on everything that the platform has, and see what MLflow
// remembers. They use a browser where there is one, and HTTP elsewhere. Meanwhile the administrator adds GPUs, for which the hub restarts.
func firstDay(t *testing.T, e *env, story *story, b *browser, user, password string) {
	t.Helper()
	page := openBrowser(t, e)
	if page != nil && !t.Run("The platform's page, behind its login, says that everything works", func(t *testing.T) {
		defer story.step(t)()
		page.In(t)
		page.enter(t, e, "portal", `document.querySelectorAll(".card").length == 4 &&
			[...document.querySelectorAll(".card .state")].every(state => state.textContent == "Ready")`)
	}) {
		return
	}
	const file = "customers.ipynb"
	_ = t.Run("The user logs in, chooses an image and a size, and sees JupyterLab", func(t *testing.T) {
		defer story.step(t)()
		b.login(t, user, password)
		if page == nil {
			b.start(t, user)
			b.upload(t, user, file, notebook(t))
			if lab := b.get(t, "/user/"+user+"/lab"); !strings.Contains(lab, "JupyterLab") {
				t.Errorf("the page of the notebook is not JupyterLab:\n%.500s", lab)
			}
			return
		}
		page.In(t)
		page.choose(t, e, b.address, user, password)
		b.started(t, user)
		b.upload(t, user, file, notebook(t))
		page.seeLab(t, e)
	}) && t.Run("The administrator adds GPUs", func(t *testing.T) {
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
			got = page.runNotebook(t, e, file)
		}
		for _, want := range []string{"S3 has 5000 customers", "Spark counts 5000 customers on spark://spark-", "Kafka has 20 messages", "MLflow has an accuracy of 0."} {
			if !strings.Contains(got, want) {
				t.Errorf("the notebook printed %q, want %q in it", got, want)
			}
		}
	}) && page != nil && t.Run("MLflow's page, behind its login, has the experiment", func(t *testing.T) {
		defer story.step(t)()
		page.In(t)
		page.enter(t, e, "mlflow", `document.body.innerText.includes("churn")`)
		b.endKernels(t, user)
	})
}
