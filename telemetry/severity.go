package telemetry

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// judgeSeverity says which rule a judgement falls under, how bad that is, and what the reader of the query does then.
// The worst patterns are blockers: what decides about releases and replicas without a person, silence that looks like
// a good number, and alerts about security (observability.md 7.4).
func judgeSeverity(j *judged) (rule string, severity api.Severity, effect string) {
	ends := j.named && len(j.silentL4) > 0 // without a waypoint no rewrite brings requests back
	mended := j.by != "" || j.written && !ends || j.rewrite != nil && j.rewrite.Complete() && len(j.rewrite.Edits)+len(j.rewrite.Variable) > 0
	switch j.verdict {
	case promql.Unaffected:
		return "", "", ""
	case promql.AlreadyDead:
		return "T15", api.Info, "it shows nothing today either"
	case promql.CannotTell:
		switch j.q.Role {
		case source.Alert, source.Autoscaler, source.Canary, source.Objective:
			return "T06", api.Warning, "somebody must look at it"
		default:
			return "T06", api.Info, "somebody must look at it"
		}
	default:
	}
	if j.passing {
		return "T05", api.Info, "for the minutes in which the step runs"
	}
	switch j.q.Role {
	case source.Canary:
		return canary(j)
	case source.Autoscaler:
		return autoscaler(j)
	case source.Alert, source.Objective:
		return alert(j, mended)
	default:
		return shown(j)
	}
}

func canary(j *judged) (string, api.Severity, string) {
	if j.verdict != promql.GoesSilent {
		return "T07", api.Warning, "releases are judged by another number than today"
	}
	switch j.q.OnEmpty {
	case source.EmptyPasses:
		return "T07", api.Blocker, "every release passes, whatever it does"
	case source.EmptyFails:
		return "T07", api.Blocker, "every release fails its analysis and is rolled back"
	default:
		return "T07", api.Blocker, "releases are judged by nothing"
	}
}

func autoscaler(j *judged) (string, api.Severity, string) {
	switch {
	case j.verdict == promql.GoesSilent && j.q.OnEmpty == source.EmptyZero:
		return "T08", api.Blocker, "an empty result counts as 0: it scales to the minimum under full load"
	case j.verdict == promql.GoesSilent:
		return "T08", api.Blocker, "it stops scaling: no replica is added under load"
	case j.verdict == promql.CountsHalf:
		return "T08", api.Blocker, "it sees half of the load and runs half of the replicas"
	case j.verdict == promql.DoubleCounts:
		return "T08", api.Blocker, "it sees the load twice and runs twice the replicas"
	}
	return "T08", api.Warning, "it scales by another number than today"
}

func alert(j *judged, mended bool) (string, api.Severity, string) {
	switch j.verdict {
	case promql.GoesSilent:
		effect := "it does not fire any more, which looks like a healthy system"
		if j.q.OnEmpty == source.EmptyFires {
			effect = "the query has no data, so Grafana notifies about that instead of what it watches"
		}
		switch {
		case j.security:
			return "T10", api.Blocker, effect
		case mended:
			return "T01", api.Warning, effect
		}
		return "T01", api.Blocker, effect
	case promql.FiresFalsely:
		return "T02", api.Warning, "it pages people while nothing is wrong"
	case promql.DoubleCounts:
		return "T03", api.Warning, "its threshold is reached at half of what was meant"
	case promql.CountsHalf:
		return "T04", api.Warning, "its threshold is reached at twice of what was meant"
	default:
		return "T05", api.Warning, "it watches something else than today"
	}
}

func shown(j *judged) (string, api.Severity, string) {
	switch j.verdict {
	case promql.GoesSilent:
		if j.healthy && j.q.Role == source.Panel {
			return "T09", api.Blocker, "it shows a good number while nothing is measured"
		}
		return "T01", api.Warning, "it is empty"
	case promql.FiresFalsely, promql.ChangesMeaning:
		return "T05", api.Info, "the number means something else than today"
	case promql.DoubleCounts:
		return "T03", api.Warning, "the number is too high"
	case promql.CountsHalf:
		return "T04", api.Warning, "the number is half of today's"
	default:
		return "T06", api.Info, "somebody must look at it"
	}
}
