# Allowed sources: a spore starts only if its signed provenance names a repository of ours, and a commit as it was
# committed. Change `allowed` to your own; an entry that ends in a slash allows what is below it.
package mesh.admission

allowed := {
	"git+https://github.com/n1x-mnemos/",
	"git+ssh://git.example.com/mnemos/",
}

source := input.provenance.buildDefinition.resolvedDependencies[0]

deny contains msg if {
	not source.uri
	msg := sprintf("%s says nothing of the repository it was built from; build it with --provenance", [input.app])
}

deny contains msg if {
	not is_allowed(source.uri)
	msg := sprintf("%s was built from %s, which is no allowed source", [input.app, source.uri])
}

deny contains msg if {
	source.annotations.uncommittedFiles > 0
	msg := sprintf("%s was built from files that no commit holds", [input.app])
}

# The whole of a path's part: example.com/mnemos is not example.com/mnemos-of-somebody-else.
is_allowed(uri) if {
	some prefix in allowed
	endswith(prefix, "/")
	startswith(uri, prefix)
	not contains(uri, "/..")
}
