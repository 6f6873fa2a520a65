interface Used {
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
}

/** All tokens of a call, or of many: those from and to the cache are counted apart from the other input. */
export function tokensOf(used: Used): number {
  return used.input_tokens + used.cached_input_tokens + used.cache_write_tokens + used.output_tokens;
}
