//! What a JSON merge patch (RFC 7396) may hold: `null` stands for what is to be taken out.

use utoipa::openapi::schema::{AdditionalProperties, Object, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema};

/// The same, or `null`.
pub(crate) fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = type_or_null(object.schema_type);
            if let Some(values) = &mut object.enum_values
                && !values.iter().any(serde_json::Value::is_null)
            {
                values.push(serde_json::Value::Null);
                let says = object.description.get_or_insert_default();
                says.push_str(" `null`: as if it had never been said.");
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = type_or_null(array.schema_type);
            RefOr::T(Schema::Array(array))
        }
        other => {
            let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
            RefOr::T(Schema::OneOf(
                OneOfBuilder::new().item(other).item(null).build(),
            ))
        }
    }
}

/// The fields of an object, each or `null`, and none of them required.
pub(crate) fn merge(object: &mut Object) {
    object.required.clear();
    for schema in object.properties.values_mut() {
        let whole = std::mem::replace(schema, RefOr::T(Schema::default()));
        *schema = or_null(whole);
    }
}

/// The entries of a map, each as `entry` says, or `null`.
pub(crate) fn merge_entries(map: &mut RefOr<Schema>, entry: Option<RefOr<Schema>>) {
    if let RefOr::T(Schema::Object(map)) = map
        && let Some(all) = &mut map.additional_properties
        && let AdditionalProperties::RefOr(present) = &mut **all
    {
        let whole = std::mem::replace(present, RefOr::T(Schema::default()));
        *present = or_null(entry.unwrap_or(whole));
    }
}

fn type_or_null(schema_type: SchemaType) -> SchemaType {
    match schema_type {
        SchemaType::Type(one) => SchemaType::from_iter([one, Type::Null]),
        SchemaType::Array(mut all) => {
            if !all.contains(&Type::Null) {
                all.push(Type::Null);
            }
            SchemaType::Array(all)
        }
        SchemaType::AnyValue => SchemaType::AnyValue,
    }
}
