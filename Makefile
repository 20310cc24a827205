# keyfleet: what can be done here. `make` or `make help` lists it.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
.DEFAULT_GOAL := help
.PHONY: help setup tools images containerfiles demo demo-down test unit check history stories long-stories clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## Install what the project needs (Debian packages, npm packages); idempotent
	@./setup.sh

tools: setup ## Build Kubernetes, etcd and helm from Go modules into the cache (about 7 minutes, once)
	@test-e2e/sites/build-tools.sh >/dev/null

images: setup ## Build the container images keyfleet-node and keyfleet-operator
	@test-e2e/sites/images.sh

containerfiles: setup ## Build both images from their Containerfiles with buildah and compare them with those of `make images`
	@test-e2e/sites/containerfiles.sh trimmed
	@test-e2e/sites/containerfiles.sh debian

demo: tools images ## The main job: three sites, a fleet, KMIP clients, two sites lost and back
	@node test-e2e/demo/demo.ts

demo-down: ## End the sites of the demo; nothing is left behind
	@test-e2e/sites/sites down

check: setup ## Types, lint and format
	@npm run --silent check

unit: tools images check ## The fast loop: what is tested quickly without Kubernetes sites
	@npm test --silent

stories: tools images ## User stories on three real Kubernetes sites
	@node test-e2e/run.ts stories

long-stories: tools images ## Stories of long changes, which `make test` leaves out: killed operators, growth, External nodes, sites lost in the middle
	@node test-e2e/run.ts long

history: tools images ## A fleet of processes under a seeded nemesis, some short seeds
	@node test-e2e/run.ts history

test: tools images ## Everything but the long stories: types, lint, unit and system tests, OASIS cases, simulator, histories, stories; prints the total last
	@node test-e2e/run.ts check unit system oasis simulate history stories

clean: demo-down ## End the sites and delete what was built outside the checkout
	@rm -rf "$${KEYFLEET_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/keyfleet}"
