/** plotly.js, which hessview/page/module.py puts in front of the built page; a page of cards has none. */
declare const Plotly: {
  react(plot: HTMLElement, data: object[], layout: object, config: object): unknown;
  purge(plot: HTMLElement): void;
};

declare module "*.css" {
  const text: string;
  export default text;
}
