/** References of images. Everything that is listed names its images by digest. */

export interface ImageReference {
  registry: string
  /** Without the registry. */
  repository: string
  digest: string
}

/** @throws an Error that says what is wrong with it */
export function parseImage (reference: string): ImageReference {
  const [, registry, repository, digest] =
    /^([a-z0-9.-]+(?::\d+)?)\/([a-z0-9._/-]+)@(sha256:[0-9a-f]{64})$/.exec(reference) ?? []
  if (registry === undefined || repository === undefined || digest === undefined) {
    throw new Error(`not an image by digest: ${reference} (registry.example.com/name@sha256:…)`)
  }
  return { registry, repository, digest }
}
