# Required labels: every app says whose it is and who pays. A plan's labels count (mesh deploy --label owner=…), and
# those that the publisher wrote into the manifest ("labels": { … }), the plan's over the manifest's.
package mesh.admission

required := {"owner", "cost-center"}

labels := object.union(
	object.get(input.manifest, "labels", {}),
	object.get(object.get(input, "plan", {}), "labels", {}),
)

deny contains msg if {
	some name in required
	trim_space(object.get(labels, name, "")) == ""
	msg := sprintf("%s has no label %s; say it: mesh deploy --label %s=…", [input.app, name, name])
}
