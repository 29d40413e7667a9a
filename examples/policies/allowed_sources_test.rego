package mesh.admission

built_from(uri) := {
	"app": "billing",
	"provenance": {"buildDefinition": {"resolvedDependencies": [{"uri": uri}]}},
}

source_reasons contains msg if {
	some msg in deny
	regex.match(`built from`, msg)
}

test_our_repository_is_allowed if {
	count(source_reasons) == 0 with input as built_from("git+https://github.com/n1x-mnemos/billing.git")
}

test_another_is_not if {
	source_reasons == {"billing was built from git+https://github.com/else/billing, which is no allowed source"} with input as built_from("git+https://github.com/else/billing")
}

test_a_name_that_begins_like_ours_is_not if {
	count(source_reasons) == 1 with input as built_from("git+https://github.com/n1x-mnemos-of-mallory/billing")
}

test_a_path_that_climbs_is_not if {
	count(source_reasons) == 1 with input as built_from("git+https://github.com/n1x-mnemos/../mallory/billing")
}

test_no_provenance_is_no_allowed_source if {
	some msg in source_reasons with input as {"app": "billing"}
	startswith(msg, "billing says nothing of the repository")
}

test_what_was_not_committed_is_not_allowed if {
	dirty := {"app": "billing", "provenance": {"buildDefinition": {"resolvedDependencies": [{
		"uri": "git+https://github.com/n1x-mnemos/billing",
		"annotations": {"uncommittedFiles": 2},
	}]}}}
	source_reasons == {"billing was built from files that no commit holds"} with input as dirty
}
