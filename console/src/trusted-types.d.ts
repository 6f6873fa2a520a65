/** The part of Trusted Types that is used, which lib.dom of this TypeScript does not have. */
interface TrustedScriptURL {
  toString(): string;
}
interface Window {
  readonly trustedTypes?: {
    createPolicy(
      name: string,
      rules: { createScriptURL(url: string): string },
    ): { createScriptURL(url: string): TrustedScriptURL };
  };
}
