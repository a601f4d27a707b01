/** Client for Polaris Secure Proxy. */
export {}
