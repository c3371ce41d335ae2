// Package upgrade compares this version with the one before it, which it builds from the history of the checkout.
package upgrade
