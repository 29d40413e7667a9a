package mesh.admission

label_reasons contains msg if {
	some msg in deny
	regex.match(`has no label`, msg)
}

of(manifest, plan) := {"app": "billing", "manifest": {"labels": manifest}, "plan": {"labels": plan}}

test_all_labels_are_asked_for if {
	label_reasons == {
		"billing has no label owner; say it: mesh deploy --label owner=…",
		"billing has no label cost-center; say it: mesh deploy --label cost-center=…",
	} with input as {"app": "billing", "manifest": {}}
}

test_the_plan_may_say_them if {
	count(label_reasons) == 0 with input as of({}, {"owner": "payments", "cost-center": "42"})
}

test_the_manifest_may_say_them if {
	count(label_reasons) == 0 with input as of({"owner": "payments", "cost-center": "42"}, {})
}

test_both_together_may if {
	count(label_reasons) == 0 with input as of({"owner": "payments"}, {"cost-center": "42"})
}

test_an_empty_one_is_none if {
	count(label_reasons) == 1 with input as of({"owner": "payments", "cost-center": " "}, {})
}
