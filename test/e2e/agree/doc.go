// Package agree holds tests only: they compare what package mesh says about
// AuthorizationPolicies with what a real istiod makes of them.
package agree
