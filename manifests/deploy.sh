#!/bin/sh
# Installs Kubeflow Pipelines and lstfill on the cluster of kind.yaml, and returns when all of it answers. It may be
# repeated. A failure ends with the state of the pods.
set -eu
cd "$(dirname "$0")"

kube() { kubectl --context kind-lstfill "$@"; }

answers() {
  curl --silent --show-error --fail --output /dev/null --max-time 10 --retry 24 --retry-delay 5 --retry-all-errors "$1"
}

report() {
  status=$?
  if [ "$status" -ne 0 ]; then
    echo "the installation is not complete; pods and last events:" >&2
    kube --namespace kubeflow get pods --output wide >&2 || true
    kube --namespace kubeflow get events --sort-by .lastTimestamp 2>/dev/null | tail -n 30 >&2 || true
  fi
  exit "$status"
}
trap report EXIT

kube apply --server-side --force-conflicts --kustomize cluster-scoped
kube wait crd --all --for condition=established --timeout=120s

# A Job cannot be changed; both may run any number of times.
kube --namespace kubeflow delete job lstfill-buckets lstfill-demo-cube --ignore-not-found
kube apply --kustomize overlays/kind

# Most of the time goes into pulling the images of Kubeflow.
kube --namespace kubeflow wait deployment --all --for condition=Available --timeout=1200s
kube --namespace kubeflow rollout status statefulset/mlflow-postgres --timeout=300s
kube --namespace kubeflow wait job/lstfill-buckets job/lstfill-demo-cube --for condition=complete --timeout=900s

answers http://127.0.0.1:8888/apis/v2beta1/healthz
answers http://127.0.0.1:3000/
answers http://127.0.0.1:5000/health
answers http://127.0.0.1:9000/status
echo "Kubeflow http://127.0.0.1:3000  MLflow http://127.0.0.1:5000  S3 http://127.0.0.1:9000"
