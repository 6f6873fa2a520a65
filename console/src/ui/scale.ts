/**
 * The values at which an axis from zero to at least `top` has its lines, the last one its end: two to four steps of 1, 2,
 * 2.5 or 5 times a power of ten. `whole`: of things that come in ones.
 */
export function axis(top: number, whole: boolean): number[] {
  if (top <= 0) return [0];
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factors = whole && power < 10 ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  const factor = factors.find((factor) => factor * power >= rough) ?? 10;
  const step = whole ? Math.max(1, Math.round(factor * power)) : factor * power;
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** The places of at most `most` labels for `length` bars, evenly apart, the first and the last bar among them. */
export function places(length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, index) => index);
  return Array.from({ length: most }, (_, index) => Math.round((index * (length - 1)) / (most - 1)));
}
