"use strict";
// Buttons appear only where there is something that can copy.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        button.textContent = "select it, please";
      }
      setTimeout(() => { button.textContent = "copy"; }, 2000);
    });
  }
}
