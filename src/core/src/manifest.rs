//! `netkit manifest KIND [--image IMAGE]`: what Kubernetes is told to bring netkit to a pod, as YAML on stdout.

use crate::{Ctx, Error, Exit, text};

/// Kind, purpose, text. `IMAGE` stands for the image; a comment at the top says how to use it.
const KINDS: &[(&str, &str, &str)] = &[
    ("debug", "a pod of its own, to attach to", DEBUG),
    ("daemonset", "one on every node, with the node's network and processes", DAEMONSET),
    ("initcontainer", "the tools copied into an application's container when it starts", INIT_CONTAINER),
    ("imagevolume", "the image mounted into an application's container (Kubernetes 1.33 and later)", IMAGE_VOLUME),
    (
        "custom-profile",
        "for kubectl debug --custom: root, with the capabilities that no profile gives together",
        CUSTOM,
    ),
];

const DEBUG: &str = "\
# kubectl apply -f netkit.yaml && kubectl exec -it netkit -- sh
apiVersion: v1
kind: Pod
metadata:
  name: netkit
  labels:
    app.kubernetes.io/name: netkit
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  automountServiceAccountToken: false
  containers:
    - name: netkit
      image: \"IMAGE\"
      args: [\"sh\"]
      # A shell that waits at a terminal: kubectl attach -it netkit
      stdin: true
      tty: true
      securityContext:
        runAsUser: 0
        capabilities:
          add: [\"NET_ADMIN\", \"NET_RAW\", \"SYS_PTRACE\"]
";

const DAEMONSET: &str = "\
# kubectl apply -f netkit.yaml && kubectl get pods -o wide -l app.kubernetes.io/name=netkit
# kubectl exec -it POD -- sh; the node's files are below /host
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: netkit
  labels:
    app.kubernetes.io/name: netkit
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: netkit
  template:
    metadata:
      labels:
        app.kubernetes.io/name: netkit
    spec:
      hostNetwork: true
      hostPID: true
      dnsPolicy: ClusterFirstWithHostNet
      terminationGracePeriodSeconds: 5
      automountServiceAccountToken: false
      tolerations:
        - operator: Exists
      containers:
        - name: netkit
          image: \"IMAGE\"
          args: [\"sh\"]
          stdin: true
          tty: true
          securityContext:
            # Entering the network namespaces of pods needs SYS_ADMIN, which is `privileged`.
            privileged: true
            runAsUser: 0
          resources:
            requests:
              cpu: 1m
              memory: 8Mi
            limits:
              memory: 256Mi
          volumeMounts:
            - name: host
              mountPath: /host
              readOnly: true
      volumes:
        - name: host
          hostPath:
            path: /
";

const INIT_CONTAINER: &str = "\
# Into the pod's template; then: kubectl exec -it POD -c app -- /netkit/sh
apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  initContainers:
    - name: netkit
      image: \"IMAGE\"
      args: [\"install\", \"--copy\", \"/netkit\"]
      volumeMounts:
        - name: netkit
          mountPath: /netkit
  containers:
    - name: app
      image: \"APPLICATION\"
      volumeMounts:
        - name: netkit
          mountPath: /netkit
          readOnly: true
  volumes:
    - name: netkit
      emptyDir: {}
";

const IMAGE_VOLUME: &str = "\
# Into the pod's template; then: kubectl exec -it POD -c app -- /netkit/bin/sh
apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  containers:
    - name: app
      image: \"APPLICATION\"
      volumeMounts:
        - name: netkit
          mountPath: /netkit
          readOnly: true
  volumes:
    - name: netkit
      image:
        reference: \"IMAGE\"
        pullPolicy: IfNotPresent
";

const CUSTOM: &str = "\
# kubectl debug -it POD --image=IMAGE --target=CONTAINER --custom=netkit.yaml
securityContext:
  runAsUser: 0
  runAsNonRoot: false
  allowPrivilegeEscalation: true
  capabilities:
    add: [\"NET_ADMIN\", \"NET_RAW\", \"SYS_PTRACE\"]
";

/// The image of this build as a registry would have it.
pub(crate) fn image(ctx: &Ctx) -> String {
    format!("REGISTRY/netkit:{}", ctx.build.version)
}

pub(crate) fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let words = ctx.args_lossy();
    let mut image = image(ctx);
    let mut kind = None;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let value = match word.strip_prefix("--image") {
            Some("") => rest.next().map(String::as_str),
            Some(value) => value.strip_prefix('='),
            None if word.starts_with('-') => {
                return Err(Error::usage(format!("manifest: no flag `{}`; there is --image", text::printable(word))));
            }
            None => {
                if kind.replace(word.as_str()).is_some() {
                    return Err(Error::usage("manifest: more than one kind given"));
                }
                continue;
            }
        };
        // What an image reference is made of (distribution's reference grammar); nothing of it means anything to YAML.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
        image = match value {
            Some(value) if !value.is_empty() && value.bytes().all(plain) => value.to_owned(),
            Some(value) => {
                let shown = text::printable(value);
                return Err(Error::usage(format!("manifest: `{shown}` is no image reference")));
            }
            None => return Err(Error::usage("manifest: --image needs an image, e.g. --image=registry/netkit:0.1.0")),
        };
    }
    let found = kind.and_then(|kind| KINDS.iter().find(|(name, ..)| *name == kind));
    let Some((.., yaml)) = found else {
        let kinds: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
        let said = match kind {
            Some(kind) => format!("manifest: no kind `{}`", text::printable(kind)),
            None => "manifest: which kind?".to_owned(),
        };
        return Err(Error::usage(format!("{said} There are {}", kinds.join(", "))).hint(about()));
    };
    ctx.stdout.write_all(yaml.replace("IMAGE", &image).as_bytes())?;
    Ok(Exit::OK)
}

fn about() -> String {
    KINDS.iter().map(|(name, purpose, _)| format!("  {name:<15} {purpose}")).collect::<Vec<_>>().join("\n")
}
