/** `polaris plan google`: Confidential Space, with examples/terraform/google. */
import type { AttestationPolicy } from '../../attestation/policy.ts'
import type { Plan } from './plan.ts'
import { IMAGE, IMAGE_FORM } from './question.ts'
import { script } from './script.ts'

const MODELS: Record<string, string> = { SEV: 'GCP_AMD_SEV', TDX: 'GCP_INTEL_TDX' }
const MACHINES: Record<string, string> = { SEV: 'n2d-standard-2', TDX: 'c3-standard-4' }

/** Who may connect: Google's load balancers, and identity-aware proxy, for the check from a laptop. */
const CLIENT_RANGES = ['130.211.0.0/22', '35.191.0.0/16', '35.235.240.0/20']

const NAME = 'polaris-proxy'
const PORT = 3001

export const google: Plan = {
  title: 'Confidential Space on Google Cloud',
  questions: [
    {
      name: 'project',
      text: 'Project id',
      pattern: /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
      form: 'the id of a project: 6 to 30 lower-case letters, digits and hyphens'
    },
    {
      name: 'projectNumber',
      text: 'Project number (gcloud projects describe PROJECT)',
      pattern: /^\d{4,20}$/,
      form: 'the number of the project'
    },
    { name: 'image', text: 'Image of proxy and workload, by digest', pattern: IMAGE, form: IMAGE_FORM },
    {
      name: 'region',
      text: 'Region',
      pattern: /^[a-z]+-[a-z]+\d{1,2}$/,
      form: 'a region, e.g. europe-west4',
      default: 'europe-west4'
    },
    {
      name: 'technology', text: 'SEV (AMD) or TDX (Intel)', pattern: /^(?:SEV|TDX)$/, form: 'SEV or TDX', default: 'SEV'
    }
  ],

  files ({ project = '', projectNumber = '', image = '', region = '', technology = '' }) {
    const [repository = '', digest = ''] = image.split('@')
    const variables = {
      project_id: project,
      region,
      name: NAME,
      image: repository,
      image_digest: digest,
      workload_base_url: `http://127.0.0.1:${PORT}`,
      confidential_instance_type: technology,
      machine_type: MACHINES[technology] ?? '',
      client_ranges: CLIENT_RANGES
    }
    // What the Terraform module sets, value by value: a variable that is not named here would be refused.
    const environment = {
      POLARIS_CONTAINER_KEY_TYPE: 'google-federated',
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: variables.workload_base_url,
      POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
      POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true',
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_PROJECT_ID: project,
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_LOCATION: region,
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_RING_ID: NAME,
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_ID: NAME,
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_VERSION: '1',
      POLARIS_CONTAINER_GOOGLE_FEDERATED_KEY_AUDIENCE:
        `//iam.googleapis.com/projects/${projectNumber}/locations/global/workloadIdentityPools/${NAME}/providers/confidential-space`
    }
    const policy: AttestationPolicy = {
      version: 1,
      platforms: {
        'google-confidential-space': {
          audience: 'polaris-secure-proxy',
          imageDigests: [digest],
          projectIds: [project],
          serviceAccounts: [`${NAME}-vm@${project}.iam.gserviceaccount.com`],
          hardwareModels: [MODELS[technology] ?? ''],
          environment: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, [value]]))
        }
      }
    }
    return {
      'terraform.tfvars': Object.entries(variables).map(
        ([name, value]) => `${name.padEnd(26)} = ${JSON.stringify(value).replaceAll('","', '", "')}\n`
      ).join(''),
      'policy.json': `${JSON.stringify(policy, undefined, 2)}\n`,
      'deploy.sh': deploy(project, region),
      'verify.sh': verify(project, region),
      'remove.sh': remove(project, region)
    }
  }
}

const deploy = (project: string, region: string) =>
  script('Makes the key, the pool with its condition, and the confidential VM.', `gcloud config set project ${project}
gcloud auth application-default login
# The VM has no address outside, and still has to reach Google's services.
gcloud services enable cloudresourcemanager.googleapis.com compute.googleapis.com iap.googleapis.com
gcloud compute networks subnets update default --region=${region} --enable-private-ip-google-access

terraform -chdir=examples/terraform/google init
terraform -chdir=examples/terraform/google apply -var-file="$plan/terraform.tfvars"
`)

const verify = (
  project: string, region: string
) =>
  script('Asks the VM for evidence, and makes an encrypted request if that satisfies the ' +
    'policy.', `gcloud compute start-iap-tunnel ${NAME} 3000 --local-host-port=localhost:3000 --zone=${region}-a --project=${project} &
tunnel=$!
trap 'kill "$tunnel"' EXIT
until curl --fail --silent http://localhost:3000/polaris-container/readyz; do sleep 5; done

npx polaris verify http://localhost:3000 --policy "$plan/policy.json"
npx polaris fetch 'http://localhost:3000/hello?name=Ada' --policy "$plan/policy.json"
`)

const remove = (
  project: string, region: string
) => script('Removes everything that deploy.sh made. Nothing encrypted to the key can ever be opened ' +
  'again.', `# The module protects the key from terraform destroy. Key rings and keys stay as names; their versions go.
terraform -chdir=examples/terraform/google state rm google_kms_crypto_key.this google_kms_key_ring.this
terraform -chdir=examples/terraform/google destroy -var-file="$plan/terraform.tfvars"
gcloud kms keys versions destroy 1 --key=${NAME} --keyring=${NAME} --location=${region} --project=${project}
`)
