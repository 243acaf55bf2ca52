-- A transaction with an ALTER TABLE that fails is passed over, instead of stopping the database.
--
--     ha --interceptor examples/interceptors/ignore_alter_table_errors.lua

function after(cs, db, err)
    for _, change in ipairs(cs.changes) do
        if change.command and change.command:upper():match("^%s*ALTER%s+TABLE") then
            return nil
        end
    end
    return err
end
