import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { StackedBars } from "./StackedBars";

const drawn = (...values: number[][]) =>
  renderToStaticMarkup(
    createElement(StackedBars, {
      label: "Calls",
      all: "Nov 1 to Nov 3",
      series: [
        { name: "ok", tone: "accent" },
        { name: "failed", tone: "bad" },
      ],
      bars: values.map((values, index) => ({ label: `Nov ${index + 1}`, tick: `Nov ${index + 1}`, values })),
      format: String,
      empty: "None",
    }),
  );

it("shows each part of a bar beside which another is a thousand times as high", () => {
  const heights = [...drawn([10_000, 0], [1, 0], [1, 1], [0, 0]).matchAll(/min-height:(\d+)/g)];
  expect(heights.map(([, pixels]) => Number(pixels))).toEqual([2, 2, 4, 0]);
});

it("names bars in the middle below them", () => {
  const left = [...drawn([1, 0], [2, 0]).matchAll(/left:(\d+)%/g)].map(([, percent]) => Number(percent));
  expect(left).toEqual([25, 75]);
});
