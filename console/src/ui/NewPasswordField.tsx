import { TextField } from "./Field";

/** The fewest characters of a new password; the server refuses fewer. */
export const MIN_PASSWORD = 10;
const MAX_PASSWORD = 128;

/** A password that somebody chooses. */
export function NewPasswordField({
  label = "Password",
  value,
  onChange,
}: {
  label?: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <TextField
      label={label}
      hint={`${MIN_PASSWORD} to ${MAX_PASSWORD} characters`}
      type="password"
      autoComplete="new-password"
      required
      minLength={MIN_PASSWORD}
      maxLength={MAX_PASSWORD}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
